/**
 * Fetches from one broker, for as long as it leads partitions that are being read.
 *
 * Two paths, each a connection of its own, so that a fetch that waits for records delays nobody:
 *
 *   long path      takes every partition that wants records and waits up to `LONG_WAIT` for the first record
 *   express path   while the long path waits: takes what has come to want records since (a new partition, one that was
 *                  resumed) and waits `SHORT_WAIT`, so that both soon meet again in one long fetch
 *
 *   idle ──wake, something wanted──▶ connecting ──▶ fetching ──answer──▶ idle, and wake again
 *                                        └───────────┴──failure──▶ idle until `notBefore`; others are asked who leads
 *
 * A partition is in at most one fetch at a time (`ReadPartition.flight`). When it is removed or moves to another leader
 * its flight is cleared: whatever the old fetch still answers for it is passed over.
 */
import type { BrokerConnection } from '../connection/connection.ts'
import type { BrokerPool } from '../connection/connections.ts'
import { NO_TOPIC_ID } from '../protocol/primitive-types.ts'
import { fetchApi, fetchByNameApi, type FetchAnswer, type FetchedPartition } from './fetch-api.ts'
import type { Denied } from '../cluster/denials.ts'
import type { Metadata } from '../cluster/metadata.ts'
import { Portion } from '../connection/portion.ts'
import { AnswerMemory } from '../batches/record-batches.ts'
import type { Trouble } from '../../transport.ts'

/** Milliseconds that a broker waits for the first record. */
export const LONG_WAIT: number = 500
/** Milliseconds beyond the wait after which a fetch that is not answered is given up: the broker hangs. */
export const FETCH_GRACE: number = 1_500
const SHORT_WAIT = 20
/** Milliseconds beyond the wait after which others are asked whether the broker still leads. */
const OVERDUE = 300
const MAX_BYTES = 8 * 1024 * 1024
const PARTITION_MAX_BYTES = 1024 * 1024
const LONGEST_BACKOFF = 400

/** One partition that is being read. Fields are set by the reader and its loops. */
export interface ReadPartition extends Denied {
  readonly topic: string
  readonly partition: number
  /** The offset to fetch next. */
  position: number
  paused: boolean
  removed: boolean
  topicId: string
  /** Broker id; −1 until the next metadata. */
  leader: number
  epoch: number
  /** `performance.now()` before which it is not fetched again. */
  notBefore: number
  /** When it was last fetched without an error, or began to be read. */
  readAt: number
  /** What keeps it from being read. */
  trouble: Trouble | undefined
  /** The leader's term in which the last batch that was read was written; −1 while none was. */
  lastEpoch: number
  /** Where, in what was read, that term began. */
  lastEpochFrom: number
  /** Whether fetches say in which term they read last, so that a log that was cut shows itself (KIP-320). */
  followsEpochs: boolean
  /** Since when (`performance.now()`) it has stood before an open transaction. */
  stalledSince: number | undefined
  /** How often reading went on somewhere else than behind what was read before. */
  resets: number
  /** The leader's term (`epoch`) of which it is certain that it knows where the log ends; see `log-ends.ts`. */
  certainTerm: number | undefined
  /**
   * What was certainly not in the log at `knownEndAt` (`performance.now()`): the records from this offset on. `Infinity`
   * while nothing is known.
   */
  knownEnd: number
  knownEndAt: number
  /** It waits, for `notBefore` at most, until it is known where its log ends. */
  awaitsEnd: boolean
  /** Where the log ended by the last answer; −1 before the first. */
  end: number
  /** The offset where damage was last seen, and how often. */
  damage: { readonly offset: number; readonly seen: number } | undefined
  flight: Flight | undefined
}

/** A fetch under way. */
interface Flight {
  readonly partitions: readonly ReadPartition[]
  /** `performance.now()` */
  readonly sentAt: number
}

/** What the answers of one fetch for its partitions have in common. */
export interface FetchedTogether {
  /** `performance.now()` */
  readonly sentAt: number
  readonly memory: AnswerMemory
  /** No partition before this one had any records: the broker owes its first batch in full, however large. */
  readonly isFirst: boolean
}

/** What a loop asks of the reader it belongs to. */
export interface FetchOwner {
  readonly metadata: Metadata
  /** Most bytes that the answer to one fetch may become in memory. */
  readonly maxBatchMemory: number
  /** Partitions that this broker leads and that want records, none of them in a fetch. */
  wanted(broker: number, now: number): ReadPartition[]
  /** The answer for one partition. */
  take(partition: ReadPartition, answer: FetchedPartition, together: FetchedTogether): void
  /** The broker did not answer. */
  failed(broker: number, error: unknown): void
}

interface FetchPath {
  readonly pool: BrokerPool
  readonly wait: number
  busy: boolean
  sentAt: number
}

export class BrokerFetcher {
  readonly broker: number
  readonly #owner: FetchOwner
  readonly #long: FetchPath
  readonly #express: FetchPath
  readonly #portion = new Portion(MAX_BYTES)
  #failures = 0
  #notBefore = 0
  #turn = 0
  #stopped = false

  constructor(owner: FetchOwner, broker: number, long: BrokerPool, express: BrokerPool) {
    this.#owner = owner
    this.broker = broker
    this.#long = { pool: long, wait: LONG_WAIT, busy: false, sentAt: Infinity }
    this.#express = { pool: express, wait: SHORT_WAIT, busy: false, sentAt: Infinity }
  }

  /** Whether the broker keeps us waiting, or failed last time: it may not lead any more. */
  doubtful(now: number): boolean {
    if (this.#failures > 0) return true
    return [this.#long, this.#express].some((path) => path.busy && now - path.sentAt > path.wait + OVERDUE)
  }

  stop(): void {
    this.#stopped = true
  }

  /** Fetches what is wanted and not in a fetch yet. */
  wake(): void {
    if (this.#stopped || this.#express.busy) return // both paths meet again when the express path is back
    const path = this.#long.busy ? this.#express : this.#long
    const now = performance.now()
    if (now < this.#notBefore) return
    const partitions = this.#owner.wanted(this.broker, now)
    if (partitions.length === 0) return
    const node = this.#owner.metadata.nodes.get(this.broker)
    if (node === undefined) return
    path.busy = true
    path.sentAt = now
    const connection = path.pool.peek(node)
    if (connection !== undefined) {
      this.#fetch(path, connection, partitions)
      return
    }
    path.pool.get(node).then(
      () => {
        path.busy = false
        this.wake()
      },
      (error: unknown) => this.#fail(path, error),
    )
  }

  #fetch(path: FetchPath, connection: BrokerConnection, partitions: ReadPartition[]): void {
    // Brokers fill an answer in the order of the request: each partition comes first in its turn.
    const turn = this.#turn++ % partitions.length
    const order = turn === 0 ? partitions : [...partitions.slice(turn), ...partitions.slice(0, turn)]
    const flight: Flight = { partitions: order, sentAt: path.sentAt }
    for (const partition of order) partition.flight = flight
    const maxBytes = this.#portion.bytes
    const limits = {
      wait: path.wait,
      maxBytes,
      partitionMaxBytes: Math.min(maxBytes, PARTITION_MAX_BYTES),
    }
    try {
      const named = order.some(({ topicId }) => topicId === NO_TOPIC_ID)
      connection.send(named ? fetchByNameApi : fetchApi, { targets: order, limits }, (error, answer) => {
        if (this.#stopped) return
        const failure =
          error ?? (answer!.errorCode === 0 ? undefined : new Error(`error ${answer!.errorCode}`))
        if (failure === undefined) this.#answered(path, flight, answer!)
        else this.#failFlight(path, flight, failure)
      })
    } catch (error) {
      this.#failFlight(path, flight, error)
    }
  }

  #answered(path: FetchPath, flight: Flight, answer: FetchAnswer): void {
    this.#failures = 0
    this.#portion.carried()
    const node = this.#owner.metadata.nodes.get(this.broker)
    if (node !== undefined) this.#owner.metadata.absolve(node)
    // Brokers answer in the order of the request: each look begins behind the last, and finds at once.
    let last = -1
    const together = {
      sentAt: flight.sentAt,
      memory: new AnswerMemory(this.#owner.maxBatchMemory),
      isFirst: true,
    }
    for (const part of answer.partitions) {
      last = indexOf(flight.partitions, part, answer.byId, last + 1)
      const partition = flight.partitions[last]
      if (partition !== undefined && partition.flight === flight) {
        partition.flight = undefined
        this.#owner.take(partition, part, together)
        if (this.#stopped) return
      }
      if (part.records !== undefined) together.isFirst = false
    }
    land(flight)
    path.busy = false
    // After what the records set going: the reply that somebody waits for goes out, and a caller gets its own, before
    // the next fetch is written.
    setImmediate(() => this.wake())
  }

  #failFlight(path: FetchPath, flight: Flight, error: unknown): void {
    land(flight)
    this.#portion.failed(error)
    this.#fail(path, error)
  }

  #fail(path: FetchPath, error: unknown): void {
    path.busy = false
    if (this.#stopped) return
    this.#failures++
    this.#notBefore = performance.now() + Math.min(25 * 2 ** Math.min(this.#failures, 6), LONGEST_BACKOFF)
    this.#owner.failed(this.broker, error)
  }
}

/** Where the answer's partition stands among those asked for, from `start` on and around; −1 when nowhere. */
function indexOf(
  asked: readonly ReadPartition[],
  { topic, partition }: FetchedPartition,
  byId: boolean,
  start: number,
): number {
  for (let step = 0; step < asked.length; step++) {
    const index = (start + step) % asked.length
    const one = asked[index]!
    if (one.partition === partition && (byId ? one.topicId : one.topic) === topic) return index
  }
  return -1
}

function land(flight: Flight): void {
  for (const one of flight.partitions) if (one.flight === flight) one.flight = undefined
}
