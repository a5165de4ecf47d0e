/**
 * How many partitions each request topic has: asked at its first request, and again now and then, for topics grow.
 */
import type { Clock } from '../clock.ts'
import { MilenaError } from '../errors.ts'
import { requireTopic } from '../transport/topics.ts'
import type { Transport } from '../transport/transport.ts'

/** How many partitions a request topic gets that is made by `createTopics: true`. */
const developmentPartitions = 6
/** Milliseconds after which the number is asked for again; the one that is known serves meanwhile. */
const maxAge = 60_000

interface KnownTopic {
  /** A promise until the first answer. */
  partitions: number | Promise<number>
  askedAt: number
}

export class TopicDirectory {
  readonly #transport: Transport
  readonly #create: boolean
  readonly #clock: Clock
  readonly #topics = new Map<string, KnownTopic>()

  constructor(transport: Transport, create: boolean, clock: Clock) {
    this.#transport = transport
    this.#create = create
    this.#clock = clock
  }

  /** @throws TransportError `MILENA_TOPIC_MISSING`; the next call asks again. */
  partitions(name: string): number | Promise<number> {
    const now = this.#clock.monotonic()
    const known = this.#topics.get(name)
    if (known === undefined) {
      const partitions = this.#ask(name)
      this.#topics.set(name, { partitions, askedAt: now })
      return partitions
    }
    if (now - known.askedAt >= maxAge && typeof known.partitions === 'number') {
      known.askedAt = now
      this.#ask(name).catch(() => undefined) // the send tells what is wrong
    }
    return known.partitions
  }

  /** After a request was refused: when the topic may not be what it was, the next one asks again. */
  doubt(name: string, error: unknown): void {
    if (!(error instanceof MilenaError)) return
    if (error.code === 'MILENA_TOPIC_MISSING' || error.code === 'MILENA_PARTITION_MISSING') {
      this.#topics.delete(name)
    }
  }

  async #ask(name: string): Promise<number> {
    try {
      const spec = { name, partitions: developmentPartitions }
      const { partitions } = await requireTopic(this.#transport, spec, this.#create)
      const known = this.#topics.get(name)
      // Topics only grow: fewer is what a broker says that lags behind, and would send a key's requests elsewhere. A topic
      // that was made anew with fewer is told by `doubt`.
      if (known !== undefined && !(Number(known.partitions) > partitions)) known.partitions = partitions
      return partitions
    } catch (error) {
      const known = this.#topics.get(name)
      if (typeof known?.partitions !== 'number') this.#topics.delete(name)
      throw error
    }
  }
}
