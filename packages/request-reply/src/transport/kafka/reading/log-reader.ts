/**
 * Reads a set of partitions, each from its position on, in order, whoever leads them.
 *
 * What a partition goes through:
 *
 *   leader unknown ──metadata──▶ led ──answer──▶ led
 *     ▲  ▲                        │
 *     │  └─ not the leader, an old term, connection lost: look again, nothing is reported
 *     └──── topic missing, right lost, batch damaged: a trouble, tried again every second, until it is read again
 *
 * A dead or hung broker stops only what it leads: each broker has a loop of its own (`broker-fetcher.ts`). While some
 * partition has no leader that answers, metadata is asked for again and again, also while a fetch hangs.
 */
import { TransportError } from '../../../errors.ts'
import { errorOf } from '../../../words.ts'
import type { TopicPartition, Trouble } from '../../transport.ts'
import type { BrokerPool, Connections } from '../connection/connections.ts'
import { NO_TOPIC_ID } from '../protocol/primitive-types.ts'
import type { FetchedPartition } from './fetch-api.ts'
import {
  BrokerFetcher,
  FETCH_GRACE,
  LONG_WAIT,
  type FetchedTogether,
  type FetchOwner,
  type ReadPartition,
} from './broker-fetcher.ts'
import { refusal } from '../cluster/kafka-errors.ts'
import { kafka } from '../protocol/error-codes.ts'
import { AnswerReading, REFUSED_PAUSE, type AnswerListener } from './answer-reading.ts'
import { LogEnds } from './log-ends.ts'
import type { Metadata } from '../cluster/metadata.ts'
import { LeaderLooks } from './leader-looks.ts'
import type { OffsetsSource } from './offsets.ts'
import { openFor, transactionOpen } from './open-transactions.ts'
import { PartitionLeaders } from './partition-leaders.ts'
import { ReadingTroubles } from './reading-troubles.ts'
import { Repositioning } from './repositioning.ts'

/**
 * Milliseconds that the first fetch of a partition waits, at most, for where its log ends: so that what comes with a
 * backlog is told apart from it.
 */
const END_WAIT = 50
/** Milliseconds between two looks at what is overdue. */
const TICK = 100
/** Milliseconds without any answer for a partition after which that is reported: no election takes as long. */
const SILENCE = 30_000

/** Errors of a partition that only mean: look for its leader again. */
const lookAgain: ReadonlySet<number> = new Set([
  kafka.unknownTopicOrPartition,
  kafka.leaderNotAvailable,
  kafka.notLeaderOrFollower,
  kafka.requestTimedOut,
  kafka.replicaNotAvailable,
  kafka.networkException,
  kafka.kafkaStorageError,
  kafka.fencedLeaderEpoch,
  kafka.unknownLeaderEpoch,
  kafka.unknownTopicId,
  kafka.inconsistentTopicId,
])

export interface ReaderOptions extends AnswerListener {
  /** The list of lasting troubles has changed: another array than before. */
  readonly onTrouble?: ((troubles: readonly Trouble[]) => void) | undefined
  readonly onError: (error: Error) => void
  /** Where the logs of some partitions end is known now: `ReadPartition.awaitsEnd`. */
  readonly onEndsKnown?: () => void
  /**
   * What was read of this partition is not in its log any more: the topic was made anew, or the log was cut. Its position
   * is where reading goes on, unless it is removed now.
   */
  readonly onRestart?: (partition: ReadPartition) => void
  /** While false nothing is handed over; `wake()` when it has become true. */
  readonly mayDeliver?: () => boolean
  /** Ask for metadata at least this often (milliseconds), to learn of changes that no error tells. */
  readonly lookEvery?: number
}

export class LogReader implements FetchOwner {
  readonly metadata: Metadata
  readonly maxBatchMemory: number
  readonly #options: ReaderOptions
  readonly #partitions = new Set<ReadPartition>()
  readonly #watches = new Map<string, { count: number; readonly stop: () => void }>()
  readonly #troubles: ReadingTroubles
  readonly #leaders: PartitionLeaders
  readonly #ends: LogEnds
  readonly #answers: AnswerReading
  readonly #repositioning: Repositioning
  readonly #looks: LeaderLooks
  readonly #loops = new Map<number, BrokerFetcher>()
  readonly #long: BrokerPool
  readonly #express: BrokerPool
  readonly #abort = new AbortController()
  readonly #stopListening: () => void
  readonly #timer: NodeJS.Timeout
  #tickedAt = performance.now()
  #waking = false

  constructor(connections: Connections, metadata: Metadata, options: ReaderOptions) {
    this.metadata = metadata
    this.maxBatchMemory = connections.options.maxBatchMemory
    this.#options = options
    this.#long = connections.open(LONG_WAIT + FETCH_GRACE)
    this.#express = connections.open(FETCH_GRACE)
    const tell = (error: Error): void => this.#tell(error)
    this.#troubles = new ReadingTroubles(this.#partitions, (troubles) => this.#changed(troubles), tell)
    this.#leaders = new PartitionLeaders(metadata, this.#troubles, tell)
    this.#answers = new AnswerReading(options, this.#troubles, tell)
    // Nothing waits long on the express connection.
    const offsets: OffsetsSource = { metadata, pool: this.#express, signal: this.#abort.signal }
    this.#repositioning = new Repositioning(offsets, {
      tell,
      repositioned: (one, restarted) => this.#repositioned(one, restarted),
    })
    this.#looks = new LeaderLooks(metadata, this.#abort.signal, (error) => {
      for (const one of this.#partitions) this.#troubles.begin(one, error)
    })
    this.#ends = new LogEnds(offsets, this.#partitions, () => {
      this.wake()
      options.onEndsKnown?.()
    })
    const stopSettling = metadata.onChange(() => this.#settle())
    const stopProblems = metadata.onProblem(() => this.#troubles.cluster(metadata.problem))
    this.#stopListening = () => {
      stopSettling()
      stopProblems()
    }
    this.#timer = setInterval(() => this.#tick(), TICK)
  }

  /** The partitions that are being read. */
  get partitions(): ReadonlySet<ReadPartition> {
    return this.#partitions
  }

  /** The troubles that last now; the same array until they change. */
  troubles(): readonly Trouble[] {
    return this.#troubles.list
  }

  /**
   * Resolves when everything that stood in the partitions at the time of the call was handed over, however long that
   * takes, or the reader is closed.
   */
  caughtUp(): Promise<void> {
    return this.#ends.caughtUp()
  }

  /** Records that were not handed over yet, as the last answers have it. */
  get unread(): number {
    let unread = 0
    for (const { end, position } of this.#partitions) unread += Math.max(0, end - position)
    return unread
  }

  /** The transport is closed below: this is the only trouble from now on. */
  transportClosed(): void {
    if (!this.#abort.signal.aborted) {
      this.#troubles.closed(
        new TransportError('MILENA_CLOSED', 'the transport was closed: nothing is read any more'),
      )
    }
  }

  /** Begins to read. */
  add({ topic, partition }: TopicPartition, position: number): ReadPartition {
    const added: ReadPartition = {
      topic,
      partition,
      position,
      paused: false,
      removed: false,
      topicId: NO_TOPIC_ID,
      leader: -1,
      epoch: -1,
      notBefore: performance.now() + END_WAIT,
      readAt: performance.now(),
      trouble: undefined,
      flight: undefined,
      lastEpoch: -1,
      lastEpochFrom: position,
      followsEpochs: true,
      stalledSince: undefined,
      resets: 0,
      certainTerm: undefined,
      knownEnd: Infinity,
      knownEndAt: 0,
      awaitsEnd: true,
      end: -1,
      damage: undefined,
    }
    this.#partitions.add(added)
    const watch = this.#watches.get(topic)
    if (watch === undefined) this.#watches.set(topic, { count: 1, stop: this.metadata.watch(topic) })
    else watch.count++
    this.#leaders.find(added)
    this.#ends.changed()
    if (added.leader === -1) this.#looks.look()
    else this.#wakeSoon(added.leader)
    return added
  }

  /** Nothing more of this partition is handed over. */
  remove(partition: ReadPartition): void {
    if (partition.removed) return
    partition.removed = true
    partition.flight = undefined
    this.#partitions.delete(partition)
    this.#troubles.removed(partition)
    this.#ends.moved()
    const watch = this.#watches.get(partition.topic)!
    if (--watch.count > 0) return
    this.#watches.delete(partition.topic)
    watch.stop()
  }

  /** Fetches no more of it; what is on its way still comes. */
  pause(partition: ReadPartition): void {
    partition.paused = true
  }

  resume(partition: ReadPartition): void {
    if (!partition.paused) return
    partition.paused = false
    partition.readAt = performance.now()
    if (partition.leader !== -1) this.#wakeSoon(partition.leader)
  }

  /** Something that kept partitions from being fetched is over. */
  wake(): void {
    for (const loop of this.#loops.values()) loop.wake()
  }

  /** Stops; nothing is handed over from now on. Resolves when nothing runs any more. */
  async close(): Promise<void> {
    this.#abort.abort()
    clearInterval(this.#timer)
    this.#stopListening()
    for (const loop of this.#loops.values()) loop.stop()
    for (const one of this.#partitions) this.remove(one)
    await Promise.all([this.#long.close(), this.#express.close()])
  }

  wanted(broker: number, now: number): ReadPartition[] {
    if (this.#options.mayDeliver?.() === false) return []
    const wanted: ReadPartition[] = []
    for (const one of this.#partitions) {
      if (one.leader === broker && !one.paused && one.flight === undefined && one.notBefore <= now) {
        wanted.push(one)
      }
    }
    return wanted
  }

  take(partition: ReadPartition, answer: FetchedPartition, together: FetchedTogether): void {
    if (answer.errorCode !== kafka.none) {
      this.#refused(partition, answer.errorCode)
      return
    }
    const now = performance.now()
    partition.readAt = now
    if (answer.diverging !== undefined) {
      void this.#repositioning.cut(partition, answer.diverging)
      return
    }
    partition.end = answer.highWatermark
    // When not: not handed over, and fetched again from the same position later.
    const { records } = answer
    if (records !== undefined) {
      if (this.#options.mayDeliver?.() === false) return
      const { position } = partition
      const all = this.#answers.read(partition, records, answer, together)
      const moved = partition.position !== position
      if (moved) this.#ends.moved() // though something behind it may have to be fetched again
      // What was cut off within its first batch says nothing of that batch.
      if (!all || !moved) return
    }
    const open = openFor(partition, answer, now)
    if (open >= SILENCE)
      this.#troubles.begin(partition, transactionOpen(partition, answer, SILENCE), 'transaction-open')
    else this.#troubles.end(partition)
    this.#ends.answered(partition, answer, together.sentAt)
  }

  failed(broker: number, error: unknown): void {
    const node = this.metadata.nodes.get(broker)
    if (node !== undefined) this.metadata.blame(node)
    if (error instanceof TransportError) {
      for (const one of this.#partitions) if (one.leader === broker) this.#troubles.begin(one, error)
    }
    this.#looks.look()
  }

  #refused(partition: ReadPartition, code: number): void {
    if (lookAgain.has(code)) {
      // Not fetched again before the next metadata, which names another leader or term, or the same once more.
      partition.leader = -1
      this.#looks.look()
      return
    }
    const now = performance.now()
    if (code === kafka.offsetNotAvailable) {
      partition.notBefore = now + TICK // a new leader that does not know the high watermark yet (KIP-207)
    } else if (code === kafka.offsetOutOfRange) {
      void this.#repositioning.outOfRange(partition)
    } else {
      partition.notBefore = now + REFUSED_PAUSE
      const what = `reading topic ${partition.topic}, partition ${partition.partition}`
      const error = refusal(code, what)
      if (code === kafka.corruptMessage) this.#troubles.begin(partition, error, 'unreadable')
      else this.#troubles.begin(partition, error)
    }
  }

  #repositioned(partition: ReadPartition, restarted: boolean): void {
    this.#ends.moved()
    if (restarted) this.#options.onRestart?.(partition)
    this.wake()
  }

  /** Takes in what metadata says now. */
  #settle(): void {
    let unsettled = false
    const anew: ReadPartition[] = []
    for (const one of this.#partitions) {
      const { resets } = one
      this.#leaders.find(one)
      if (one.leader === -1) unsettled = true
      if (one.resets > resets) anew.push(one)
    }
    if (!unsettled) this.#looks.settled()
    for (const one of anew) this.#options.onRestart?.(one)
    this.#ends.changed()
    this.#ends.moved()
    for (const one of this.#partitions) if (one.leader !== -1) this.#loop(one.leader)
    this.wake()
  }

  #loop(broker: number): BrokerFetcher {
    let loop = this.#loops.get(broker)
    if (loop === undefined) {
      loop = new BrokerFetcher(this, broker, this.#long, this.#express)
      this.#loops.set(broker, loop)
    }
    return loop
  }

  /** Once for all partitions that are added or resumed together: they travel in one fetch. */
  #wakeSoon(broker: number): void {
    this.#loop(broker)
    if (this.#waking) return
    this.#waking = true
    queueMicrotask(() => {
      this.#waking = false
      this.wake()
    })
  }

  #tick(): void {
    const now = performance.now()
    // This process was stopped, not the brokers.
    if (now - this.#tickedAt > SILENCE / 2) for (const one of this.#partitions) one.readAt = now
    this.#tickedAt = now
    let doubtful = false
    for (const one of this.#partitions) {
      if (one.leader === -1 || this.#loop(one.leader).doubtful(now)) doubtful = true
      if (one.paused || now - one.readAt < SILENCE || one.trouble !== undefined) continue
      const text = `reading topic ${one.topic}, partition ${one.partition}: no answer for ${SILENCE} ms`
      this.#troubles.begin(one, new TransportError('MILENA_BROKER_UNREACHABLE', text))
    }
    if (doubtful) this.#looks.lookAgain(now)
    else if (this.#options.lookEvery !== undefined) this.#looks.lookAgain(now, this.#options.lookEvery)
    this.wake()
  }

  #changed(troubles: readonly Trouble[]): void {
    if (this.#abort.signal.aborted) return
    try {
      this.#options.onTrouble?.(troubles)
    } catch (error) {
      this.#tell(errorOf(error))
    }
  }

  #tell(error: Error): void {
    if (!this.#abort.signal.aborted) this.#options.onError(error)
  }
}
