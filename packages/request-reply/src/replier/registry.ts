import { longestTimeout, type AnyOperation } from '../contract/operation.ts'
import { OptionsError, unknownOptions } from '../errors.ts'
import type { HandledTopic, Handling, HandleOptions } from './dispatch.ts'
import { wrap, type AnyHandler, type AnyMiddleware } from './middleware.ts'
import type { RecordMiddleware } from './record-middleware.ts'
import { patternsFor, problemOfAddress, ReplyTopics } from './reply-address.ts'

/** An operation as it was given. */
interface Gathered extends Omit<HandleOptions, 'use'> {
  readonly operation: AnyOperation
  readonly handler: AnyHandler
  readonly middlewares: readonly AnyMiddleware[]
}

const known: ReadonlySet<string> = new Set<keyof HandleOptions>([
  'replyTo',
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
  readonly #records: RecordMiddleware[] = []

  /** The record middleware for every record. */
  get records(): readonly RecordMiddleware[] {
    return this.#records
  }

  use(middleware: AnyMiddleware): void {
    if (typeof middleware !== 'function')
      throw new OptionsError('replier.use', ['middleware must be a function'])
    this.#middlewares.push(middleware)
  }

  useRecords(middleware: RecordMiddleware): void {
    if (typeof middleware !== 'function')
      throw new OptionsError('replier.useRecords', ['middleware must be a function'])
    this.#records.push(middleware)
  }

  /** @throws OptionsError that lists every problem. */
  add(operation: AnyOperation, handler: AnyHandler, options: HandleOptions): void {
    const { replyTo, handlerTimeout, leaveBehind, beforeFinish, use = [], useRecords = [] } = options
    const problems = unknownOptions(options, known)
    if (typeof operation?.name !== 'string' || typeof operation.topic !== 'string') {
      problems.push('the operation must come from defineOperation')
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
        `handlerTimeout must be a whole number from 1 to ${longestTimeout}, not ${handlerTimeout}`,
      )
    }
    if (leaveBehind !== undefined && typeof leaveBehind !== 'boolean') {
      problems.push('leaveBehind must be true or false')
    }
    if (beforeFinish !== undefined && typeof beforeFinish !== 'function') {
      problems.push('beforeFinish must be a function')
    }
    if (!isListOfFunctions(use)) problems.push('use must be a list of functions')
    if (!isListOfFunctions(useRecords)) problems.push('useRecords must be a list of functions')
    if (problems.length > 0) throw new OptionsError('replier.handle', problems)
    let byName = this.#topics.get(operation.topic)
    if (byName === undefined) this.#topics.set(operation.topic, (byName = new Map()))
    byName.set(operation.name, { ...options, operation, handler, middlewares: [...use] as AnyMiddleware[] })
  }

  /** @throws OptionsError when nothing is handled, or replies would go to a topic that is handled. */
  build(replyTopics: readonly string[] | undefined): ReadonlyMap<string, HandledTopic> {
    const handled = new Set(this.#topics.keys())
    const problems: string[] = []
    if (handled.size === 0)
      problems.push('no operation has a handler: call replier.handle(operation, handler) first')
    for (const byName of this.#topics.values()) {
      for (const { operation, replyTo } of byName.values()) {
        if (replyTo !== undefined && handled.has(replyTo.topic)) {
          problems.push(
            `operation ${operation.name}: replyTo ${replyTo.topic} is a topic that this replier handles`,
          )
        }
      }
    }
    for (const name of replyTopics ?? []) {
      if (handled.has(name)) problems.push(`replyTopics: ${name} is a topic that this replier handles`)
    }
    if (problems.length > 0) throw new OptionsError('replier.start', problems)
    return new Map(
      [...this.#topics].map(([name, byName]) => [name, this.#topic(name, byName, replyTopics, handled)]),
    )
  }

  #topic(
    name: string,
    gathered: ReadonlyMap<string, Gathered>,
    replyTopics: readonly string[] | undefined,
    handled: ReadonlySet<string>,
  ): HandledTopic {
    const patterns = [...(replyTopics ?? patternsFor(name))]
    const byName = new Map<string, Handling>()
    for (const [name, { operation, handler, middlewares, ...options }] of gathered) {
      const { replyTo, handlerTimeout, leaveBehind, beforeFinish, useRecords = [] } = options
      if (replyTo !== undefined) patterns.push(replyTo.topic)
      byName.set(name, {
        operation,
        handler: wrap(handler, [...this.#middlewares, ...middlewares]),
        records: [...this.#records, ...useRecords],
        replyTo,
        handlerTimeout,
        leaveBehind,
        beforeFinish,
      })
    }
    const [first] = byName.values()
    return {
      name,
      byName,
      only: byName.size === 1 ? first : undefined,
      replyTopics: new ReplyTopics(patterns, handled),
      last: undefined,
    }
  }
}

function isDuration(milliseconds: number): boolean {
  return Number.isSafeInteger(milliseconds) && milliseconds >= 1 && milliseconds <= longestTimeout
}

function isListOfFunctions(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'function')
}
