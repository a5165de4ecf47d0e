import type { Clock } from '../clock.ts'
import { isMilenaError } from '../error-types.ts'
import { MilenaError, OptionsError, TransportError } from '../errors.ts'
import type { ReplierOpening } from '../replier/extension.ts'
import { longestTopicName } from '../transport/malformed.ts'
import { requireTopic } from '../transport/topics.ts'
import type { IncomingRecord, RecordPosition, Transport } from '../transport/transport.ts'
import { wordsOf } from '../words.ts'
import { barest, fullest, letterHeaders, type LetterCause, type LetterDetail } from './letter-headers.ts'

/** Names the dead-letter topic of a topic. */
export type LetterTopic = (base: string) => string

export const usualLetterTopic: LetterTopic = (base) => `${base}-dlt`

/** Milliseconds for which a turn waits for the brokers; then its partition stands still, and the write goes on. */
const patience = 5_000

/** A record that is to be kept. */
export interface Letter {
  readonly record: IncomingRecord
  readonly base: string
  readonly cause: LetterCause
  /** While it is on its way. */
  writing: Promise<RecordPosition> | undefined
}

/** Writes dead letters over the replier's transport. */
export class LetterWriter {
  readonly #transport: Transport
  readonly #clock: Clock
  readonly #detail: LetterDetail
  /** By base topic. */
  readonly #topics: ReadonlyMap<string, string>
  /** How many partitions a dead-letter topic has; one that is not here is asked for before the next letter. */
  readonly #partitions: Map<string, number>

  private constructor(
    { transport, clock }: ReplierOpening,
    detail: LetterDetail,
    topics: ReadonlyMap<string, string>,
    partitions: Map<string, number>,
  ) {
    this.#transport = transport
    this.#clock = clock
    this.#detail = detail
    this.#topics = topics
    this.#partitions = partitions
  }

  /** @throws OptionsError; TransportError `MILENA_TOPIC_MISSING` when a dead-letter topic is missing and not to be created. */
  static async open(opening: ReplierOpening, name: LetterTopic, detail: LetterDetail): Promise<LetterWriter> {
    const { transport, operations, createTopics } = opening
    const bases = [...new Set(operations.map(({ topic }) => topic))]
    const topics = new Map(bases.map((base) => [base, name(base)]))
    const problems = [...topics].flatMap(([base, topic]) => problemOf(base, topic, bases) ?? [])
    if (problems.length > 0) throw new OptionsError('deadLetter', problems)
    const found = await transport.describeTopics(bases)
    const partitions = new Map<string, number>()
    for (const [base, topic] of topics) {
      const spec = { name: topic, partitions: found.get(base)?.partitions ?? 1 }
      const described = await requireTopic(transport, spec, createTopics)
      partitions.set(topic, described.partitions)
    }
    return new LetterWriter(opening, detail, topics, partitions)
  }

  /**
   * Where the letter stands, when all in-sync replicas have it. What takes longer than 5 s goes on, and is waited for at
   * the next call.
   *
   * @throws MilenaError that says why there is none, or none yet.
   */
  async write(letter: Letter): Promise<RecordPosition> {
    const writing = (letter.writing ??= this.#write(letter))
    const slow = Promise.withResolvers<undefined>()
    const timer = this.#clock.schedule(patience, () => slow.resolve(undefined))
    try {
      const position = await Promise.race([writing, slow.promise])
      if (position !== undefined) return position
    } catch (error) {
      letter.writing = undefined
      throw this.#notKept(letter, error)
    } finally {
      timer.cancel()
    }
    // Nobody may be there to see it fail.
    writing.catch(() => undefined)
    const why = new TransportError('MILENA_SEND_UNKNOWN', `it was not acknowledged within ${patience} ms`)
    throw this.#notKept(letter, why)
  }

  async #write(letter: Letter): Promise<RecordPosition> {
    const { record, cause } = letter
    const topic = this.#topicOf(letter)
    const count = this.#partitions.get(topic) ?? (await this.#count(topic))
    const partition = record.partition < count ? record.partition : undefined
    const { key, value } = record
    for (let bareness = fullest; ; bareness++) {
      const headers = letterHeaders(record, cause, this.#detail, bareness)
      try {
        return await this.#transport.send({ topic, partition, key, value, headers })
      } catch (error) {
        const isTooLarge = isMilenaError(error) && error.code === 'MILENA_RECORD_TOO_LARGE'
        if (isTooLarge && bareness < barest) continue
        // It may have been made again, with other partitions.
        this.#partitions.delete(topic)
        throw error
      }
    }
  }

  #topicOf({ base }: Letter): string {
    return this.#topics.get(base) ?? usualLetterTopic(base)
  }

  async #count(topic: string): Promise<number> {
    const { partitions } = await requireTopic(this.#transport, { name: topic, partitions: 1 }, false)
    this.#partitions.set(topic, partitions)
    return partitions
  }

  #notKept(letter: Letter, error: unknown): MilenaError {
    const { topic, partition, offset } = letter.record
    const code = isMilenaError(error) ? error.code : 'MILENA_SEND_UNKNOWN'
    const where = this.#topicOf(letter)
    const help =
      code === 'MILENA_RECORD_TOO_LARGE'
        ? `; it does not even fit without a word of why it failed: raise max.message.bytes of ${where} above that of ${letter.base}`
        : ''
    return new MilenaError(
      code,
      `the record at ${topic}/${partition}/${offset} could not be kept as a dead letter in ${where}, so its partition stands still: ${wordsOf(error)}${help}`,
      { cause: error },
    )
  }
}

function problemOf(base: string, topic: unknown, bases: readonly string[]): string | undefined {
  if (typeof topic !== 'string' || topic === '' || topic.length > longestTopicName)
    return `topic(${JSON.stringify(base)}) must give a topic's name of 1 to ${longestTopicName} characters`
  if (bases.includes(topic)) return `the dead letters of ${base} would go to ${topic}, which is handled here`
  return undefined
}
