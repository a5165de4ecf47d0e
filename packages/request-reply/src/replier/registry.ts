import { longestTimeout, problemOfOperation, type AnyOperation } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import type { HandledTopic, Handling, HandleOptions } from './dispatch.ts'
import { wrap, type AnyHandler, type AnyMiddleware } from './middleware.ts'
import type { FurtherTopic } from './extension.ts'
import { Extensions } from './extensions.ts'
import { problemOfOrder, type AnyRecordMiddleware } from './record-middleware.ts'
import { problemOfAddress, ReplyTopics } from '../wire/reply-topics.ts'
import { said } from '../words.ts'
import { readReplyHeaders, type ReplyHeaders } from './reply-headers.ts'
import type { ReservedHeaders } from '../wire/reserved-headers.ts'

/** An operation as it was given. */
interface Gathered extends Omit<HandleOptions, 'use' | 'useRecords' | 'copyHeaders' | 'replyHeaders'> {
  readonly operation: AnyOperation
  readonly handler: AnyHandler
  readonly middlewares: readonly AnyMiddleware[]
  readonly records: readonly AnyRecordMiddleware[]
  readonly chosenHeaders: ReplyHeaders | undefined
}

/** What a replier starts with. */
export interface BuiltRegistry {
  readonly topics: ReadonlyMap<string, HandledTopic>
  /** The topics that operations have themselves; the others are their extensions', who see to it that they exist. */
  readonly own: readonly string[]
  readonly extensions: Extensions
}

const known: ReadonlySet<string> = new Set<keyof HandleOptions>([
  'replyTo',
  'copyHeaders',
  'replyHeaders',
  'handlerTimeout',
  'leaveBehind',
  'beforeFinish',
  'use',
  'useRecords',
])

/** The operations of a replier while they are gathered, until it starts. */
export class Registry {
  readonly #topics = new Map<string, Map<string, Gathered>>()
  readonly #middlewares: AnyMiddleware[] = []
  readonly #records: AnyRecordMiddleware[] = []
  readonly #reserved: ReservedHeaders

  constructor(reserved: ReservedHeaders) {
    this.#reserved = reserved
  }

  /** The record middleware for every record. */
  get records(): readonly AnyRecordMiddleware[] {
    return this.#records
  }

  use(middleware: AnyMiddleware): void {
    if (typeof middleware !== 'function')
      throw new OptionsError('replier.use', ['middleware must be a function'])
    this.#middlewares.push(middleware)
  }

  useRecords(middleware: AnyRecordMiddleware): void {
    if (typeof middleware !== 'function')
      throw new OptionsError('replier.useRecords', ['middleware must be a function'])
    this.#records.push(middleware)
  }

  /** @throws OptionsError that lists every problem. */
  add(operation: AnyOperation, handler: AnyHandler, options: HandleOptions): void {
    const problems = unknownOptions('replier.handle', options, known)
    const { replyTo, handlerTimeout, leaveBehind, beforeFinish, use = [], useRecords = [] } = options
    const unfit = problemOfOperation(operation)
    if (unfit !== undefined) {
      problems.push(unfit)
    } else if (this.#topics.get(operation.topic)?.has(operation.name)) {
      problems.push(`operation ${operation.name} on topic ${operation.topic} has a handler already`)
    }
    if (typeof handler !== 'function') problems.push('the handler must be a function')
    if (replyTo !== undefined) {
      const problem = problemOfAddress(replyTo)
      if (problem !== undefined) problems.push(`replyTo: ${problem}`)
    }
    if (handlerTimeout !== undefined && !isDuration(handlerTimeout)) {
      problems.push(
        `handlerTimeout must be a whole number from 1 to ${longestTimeout}, not ${said(handlerTimeout)}`,
      )
    }
    if (leaveBehind !== undefined && typeof leaveBehind !== 'boolean') {
      problems.push('leaveBehind must be true or false')
    }
    if (beforeFinish !== undefined && typeof beforeFinish !== 'function') {
      problems.push('beforeFinish must be a function')
    }
    const { copyHeaders, replyHeaders } = options
    const chosenHeaders =
      copyHeaders === undefined && replyHeaders === undefined
        ? undefined
        : readReplyHeaders({ copyHeaders, replyHeaders }, this.#reserved, problems)
    if (!isListOfFunctions(use)) problems.push('use must be a list of functions')
    if (!isListOfFunctions(useRecords)) problems.push('useRecords must be a list of functions')
    if (problems.length > 0) throw new OptionsError('replier.handle', problems)
    let byName = this.#topics.get(operation.topic)
    if (byName === undefined) this.#topics.set(operation.topic, (byName = new Map()))
    const { use: _, useRecords: __, copyHeaders: ___, replyHeaders: ____, ...others } = options
    byName.set(operation.name, {
      ...others,
      operation,
      handler,
      chosenHeaders,
      middlewares: [...use] as AnyMiddleware[],
      records: [...useRecords] as AnyRecordMiddleware[],
    })
  }

  /** @throws OptionsError when nothing is handled, or replies would go to a topic that is handled. */
  build(replyTopics: readonly string[] | undefined): BuiltRegistry {
    const problems: string[] = []
    if (this.#topics.size === 0)
      problems.push('no operation has a handler: call replier.handle(operation, handler) first')
    const extensions = new Extensions()
    const topics = new Map<string, Map<string, Handling>>()
    // Whose prefix, and whose operations' own addresses, its replies may go to.
    const bases = new Map<string, { readonly base: string; readonly place: number; readonly delay: number }>()
    const enter = (
      { topic, place = 0, delay = 0 }: FurtherTopic,
      base: string,
      name: string,
      handling: Handling,
    ): void => {
      const other = bases.get(topic)
      if (other !== undefined && other.base !== base)
        return void problems.push(`topic ${topic} would be read for ${base} and for ${other.base}`)
      if (other !== undefined && (other.place !== place || other.delay !== delay))
        return void problems.push(
          `topic ${topic} would be a retry topic at two places, or with two delays: give its operations the same`,
        )
      bases.set(topic, { base, place, delay })
      let byName = topics.get(topic)
      if (byName === undefined) topics.set(topic, (byName = new Map()))
      if (byName.has(name) && byName.get(name) !== handling)
        return void problems.push(`operation ${name} on topic ${topic} has a handler already`)
      byName.set(name, handling)
    }
    for (const [base, byName] of this.#topics) {
      for (const [name, gathered] of byName) {
        const handling = this.#handling(gathered)
        enter({ topic: base }, base, name, handling)
        const disorder = problemOfOrder(handling.records)
        if (disorder !== undefined) problems.push(`operation ${name}: ${disorder}`)
        const found = extensions.of(gathered.operation, handling.records)
        for (const topic of found.topics) enter(topic, base, name, handling)
        for (const { operation, handler } of found.operations)
          enter({ topic: operation.topic }, base, operation.name, {
            operation,
            handler,
            records: [],
            offered: true,
          })
      }
    }
    const handled = new Set(topics.keys())
    for (const byName of this.#topics.values()) {
      for (const { operation, replyTo } of byName.values()) {
        if (replyTo === undefined || !handled.has(replyTo.topic)) continue
        problems.push(
          `operation ${operation.name}: replyTo ${replyTo.topic} is a topic that this replier handles`,
        )
      }
    }
    for (const name of replyTopics ?? []) {
      if (handled.has(name)) problems.push(`replyTopics: ${name} is a topic that this replier handles`)
    }
    if (problems.length > 0) throw new OptionsError('replier.start', problems)
    const patterns = (base: string): string[] => [
      ...(replyTopics ?? []),
      ...[...this.#topics.get(base)!.values()].flatMap(({ replyTo }) => replyTo?.topic ?? []),
    ]
    const built = [...topics].map(([name, byName]): [string, HandledTopic] => [
      name,
      {
        name,
        ...bases.get(name)!,
        byName,
        only: onlyOf(byName),
        replyTopics: new ReplyTopics(
          patterns(bases.get(name)!.base),
          handled,
          replyTopics === undefined ? bases.get(name)!.base : undefined,
        ),
        last: undefined,
      },
    ])
    return { topics: new Map(built), own: [...this.#topics.keys()], extensions }
  }

  #handling({ middlewares, records, ...gathered }: Gathered): Handling {
    return {
      ...gathered,
      handler: wrap(gathered.handler, [...this.#middlewares, ...middlewares]),
      records: [...this.#records, ...records],
    }
  }
}

/** The operation of a record that does not name one: those that extensions offer are always named. */
function onlyOf(byName: ReadonlyMap<string, Handling>): Handling | undefined {
  const own = [...byName.values()].filter(({ offered }) => offered !== true)
  return own.length === 1 ? own[0] : undefined
}

function isDuration(milliseconds: number): boolean {
  return Number.isSafeInteger(milliseconds) && milliseconds >= 1 && milliseconds <= longestTimeout
}

function isListOfFunctions(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'function')
}
