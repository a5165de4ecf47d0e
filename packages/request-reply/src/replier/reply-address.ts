/**
 * Where replies may go. A replier that publishes wherever a request's header says is a confused deputy, so the topics
 * are listed, or follow from the names of the topics that are handled.
 */
import { problemOfTopic } from '../contract/operation.ts'
import type { ReplyAddress } from '../wire/profile.ts'

/** The names that may be used for replies to the requests of one topic. */
export class ReplyTopics {
  readonly #names: ReadonlySet<string>
  readonly #prefixes: readonly string[]
  readonly #never: ReadonlySet<string>
  #last: string | undefined

  /**
   * @param patterns exact names, or prefixes that end in `*`
   * @param never names that are not allowed whatever the patterns say: the topics that this replier itself handles
   */
  constructor(patterns: readonly string[], never: ReadonlySet<string>) {
    this.#names = new Set(patterns.filter((pattern) => !pattern.endsWith('*')))
    this.#prefixes = patterns
      .filter((pattern) => pattern.endsWith('*'))
      .map((pattern) => pattern.slice(0, -1))
    this.#never = never
  }

  /** Nothing is remembered of the names that come over the wire, but for the last one that was allowed. */
  allows(topic: string): boolean {
    if (topic === this.#last) return true
    if (!this.#isAllowed(topic)) return false
    this.#last = topic
    return true
  }

  #isAllowed(topic: string): boolean {
    if (this.#never.has(topic) || topic.startsWith('__')) return false
    if (this.#names.has(topic)) return true
    return this.#prefixes.some((prefix) => topic.startsWith(prefix)) && problemOfTopic(topic) === undefined
  }
}

/**
 * The patterns for a request topic when none are given: the names that share its prefix up to the last separator.
 * `payment_request` allows `payment_*`; `payments` allows `payments.*`, `payments_*` and `payments-*`.
 */
export function patternsFor(topic: string): string[] {
  const end = Math.max(topic.lastIndexOf('.'), topic.lastIndexOf('_'), topic.lastIndexOf('-'))
  if (end > 0) return [`${topic.slice(0, end + 1)}*`]
  return [`${topic}.*`, `${topic}_*`, `${topic}-*`]
}

/** What is wrong with a pattern, if anything. */
export function problemOfPattern(pattern: unknown): string | undefined {
  if (typeof pattern !== 'string') return 'must be a name, or a prefix that ends in *'
  if (pattern === '*') return undefined
  return problemOfTopic(pattern.endsWith('*') ? pattern.slice(0, -1) : pattern)
}

/** What is wrong with an address that the application gave, if anything. */
export function problemOfAddress(address: ReplyAddress): string | undefined {
  const topic = problemOfTopic(address?.topic)
  if (topic !== undefined) return `topic ${topic}`
  const { partition } = address
  if (partition === undefined || (Number.isInteger(partition) && partition >= 0 && partition <= 0x7fffffff)) {
    return undefined
  }
  return `partition must be a whole number from 0, not ${partition}`
}
