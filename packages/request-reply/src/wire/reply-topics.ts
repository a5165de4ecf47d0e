/**
 * Where replies may go. A replier that publishes wherever a request's header says is a confused deputy, so the topics
 * are listed, or follow from the names of the topics that are handled. In the base: the requester says when a replier by
 * default would refuse its reply topic.
 */
import { problemOfTopic } from '../contract/operation.ts'
import { unknownOptions } from '../given.ts'
import { classOf, said } from '../words.ts'
import type { ReplyAddress } from './profile.ts'

/** The names that may be used for replies to the requests of one topic. */
export class ReplyTopics {
  readonly #names: ReadonlySet<string>
  readonly #prefixes: readonly string[]
  readonly #never: ReadonlySet<string>
  readonly #byDefaultOf: string | undefined
  #last: string | undefined

  /**
   * @param patterns exact names, or prefixes that end in `*`
   * @param never names that are not allowed whatever the patterns say: the topics that this replier itself handles
   * @param byDefaultOf a request topic, whose reply topics by default are allowed too
   */
  constructor(patterns: readonly string[], never: ReadonlySet<string>, byDefaultOf?: string) {
    this.#names = new Set(patterns.filter((pattern) => !pattern.endsWith('*')))
    this.#prefixes = patterns
      .filter((pattern) => pattern.endsWith('*'))
      .map((pattern) => pattern.slice(0, -1))
    this.#never = never
    this.#byDefaultOf = byDefaultOf
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
    if (problemOfTopic(topic) !== undefined) return false
    if (this.#prefixes.some((prefix) => topic.startsWith(prefix))) return true
    return this.#byDefaultOf !== undefined && isReplyTopicByDefault(topic, this.#byDefaultOf)
  }
}

/** What a reply topic is called, somewhere behind the prefix that it shares with its request topic. */
const replyWords = /(?:^|[._-])(?:repl|respon|answer|result)/i
/** What it is not called at its end, whatever stands before: what another consumer reads and takes for requests. */
const otherWords = /[._-](?:retry|retries|dlt|dlq|dead[._-]?letters?|requests?)(?:[._-]\d+)?$/i

/**
 * Whether a replier that was given no `replyTopics` sends replies there: the name shares the request topic's prefix up to
 * the last separator (`payments` has `payments.`, `payments_` and `payments-`), goes on with a word that begins with
 * `repl`, `respon`, `answer` or `result`, and does not end as a retry topic, a dead-letter topic or a request topic.
 * Topics of events beside it, which others write, are none.
 */
export function isReplyTopicByDefault(name: string, requestTopic: string): boolean {
  const end = Math.max(
    requestTopic.lastIndexOf('.'),
    requestTopic.lastIndexOf('_'),
    requestTopic.lastIndexOf('-'),
  )
  const prefix = end > 0 ? requestTopic.slice(0, end + 1) : requestTopic
  if (!name.startsWith(prefix)) return false
  const rest = name.slice(prefix.length)
  if (end <= 0 && !/^[._-]/.test(rest)) return false
  return replyWords.test(rest) && !otherWords.test(name)
}

/** What is wrong with a pattern, if anything. */
export function problemOfPattern(pattern: unknown): string | undefined {
  if (typeof pattern !== 'string') return 'must be a name, or a prefix that ends in *'
  if (pattern === '*') return undefined
  return problemOfTopic(pattern.endsWith('*') ? pattern.slice(0, -1) : pattern)
}

const partsOfAddress: ReadonlySet<string> = new Set<keyof ReplyAddress>(['topic', 'partition'])

/** What is wrong with an address that the application gave, if anything. */
export function problemOfAddress(address: ReplyAddress): string | undefined {
  if (typeof address !== 'object' || address === null)
    return `must be { topic, partition? }, not ${classOf(address)}`
  const [unknown] = unknownOptions('replyTo', address, partsOfAddress)
  if (unknown !== undefined) return unknown
  const topic = problemOfTopic(address?.topic)
  if (topic !== undefined) return `topic ${topic}`
  const { partition } = address
  if (partition === undefined || (Number.isInteger(partition) && partition >= 0 && partition <= 0x7fffffff)) {
    return undefined
  }
  return `partition must be a whole number from 0, not ${said(partition)}`
}
