import { longestTimeout, type AnyOperation } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import type { HandledTopic, Handling, HandleOptions } from './dispatch.ts'
import { wrap, type AnyHandler, type Middleware } from './middleware.ts'
import { patternsFor, problemOfAddress, ReplyTopics } from './reply-address.ts'

/** The operations of a replier while they are gathered, until it starts. */
export class Registry {
  readonly #topics = new Map<string, Map<string, Handling>>()
  readonly #middlewares: Middleware[] = []

  use(middleware: Middleware): void {
    if (typeof middleware !== 'function')
      throw new OptionsError('replier.use', ['middleware must be a function'])
    this.#middlewares.push(middleware)
  }

  /** @throws OptionsError that lists every problem. */
  add(operation: AnyOperation, handler: AnyHandler, options: HandleOptions): void {
    const { replyTo, handlerTimeout, leaveBehind, beforeFinish } = options
    const problems: string[] = []
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
    if (problems.length > 0) throw new OptionsError('replier.handle', problems)
    let byName = this.#topics.get(operation.topic)
    if (byName === undefined) this.#topics.set(operation.topic, (byName = new Map()))
    byName.set(operation.name, { operation, handler, replyTo, handlerTimeout, leaveBehind, beforeFinish })
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
    gathered: ReadonlyMap<string, Handling>,
    replyTopics: readonly string[] | undefined,
    handled: ReadonlySet<string>,
  ): HandledTopic {
    const patterns = [...(replyTopics ?? patternsFor(name))]
    const byName = new Map<string, Handling>()
    for (const [operation, handling] of gathered) {
      if (handling.replyTo !== undefined) patterns.push(handling.replyTo.topic)
      byName.set(operation, { ...handling, handler: wrap(handling.handler, this.#middlewares) })
    }
    const [first] = byName.values()
    return {
      name,
      byName,
      only: byName.size === 1 ? first : undefined,
      replyTopics: new ReplyTopics(patterns, handled),
    }
  }
}

function isDuration(milliseconds: number): boolean {
  return Number.isSafeInteger(milliseconds) && milliseconds >= 1 && milliseconds <= longestTimeout
}
