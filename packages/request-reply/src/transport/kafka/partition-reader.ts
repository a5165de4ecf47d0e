/**
 * Reads a set of partitions, each from its position on, in order, whoever leads them.
 *
 * What a partition goes through:
 *
 *   leader unknown ──metadata──▶ led ──answer──▶ led
 *     ▲  ▲                        │
 *     │  └─ not the leader, an old term, connection lost: look again, nothing is reported
 *     └──── topic missing, right lost, batch damaged: reported once, tried again every second
 *
 * A dead or hung broker stops only what it leads: each broker has a loop of its own (`fetch-loop.ts`). While some
 * partition has no leader that answers, metadata is asked for again and again, also while a fetch hangs.
 */
import { TransportError } from '../../errors.ts'
import type { IncomingRecord, TopicPartition, Trouble, UnreadableRange } from '../transport.ts'
import type { BrokerPool, Connections } from './connections.ts'
import type { FetchedPartition } from './fetch-api.ts'
import { FetchLoop, FETCH_GRACE, LONG_WAIT, type FetchOwner, type ReadPartition } from './fetch-loop.ts'
import { errorName, kafka, refusal } from './kafka-errors.ts'
import type { Metadata, TopicState } from './metadata.ts'
import { findOffsets } from './offsets.ts'
import { decodeRecords } from './record-batches.ts'

/** Milliseconds between two looks at what is overdue. */
const TICK = 100
/** Milliseconds after which a partition that was refused is tried again. */
const REFUSED_PAUSE = 1_000
/** Milliseconds between requests for metadata while something is in doubt. */
const FIRST_LOOK = 50
const LONGEST_LOOK = 500
/** Milliseconds without any answer for a partition after which that is reported: no election takes as long. */
const SILENCE = 30_000
const OFFSET_NOT_AVAILABLE = 78
const INCONSISTENT_TOPIC_ID = 103

/** Errors of a partition that only mean: look for its leader again. */
const lookAgain: ReadonlySet<number> = new Set([
  kafka.unknownTopicOrPartition,
  kafka.leaderNotAvailable,
  kafka.notLeaderOrFollower,
  kafka.requestTimedOut,
  9, // REPLICA_NOT_AVAILABLE
  kafka.networkException,
  kafka.kafkaStorageError,
  kafka.fencedLeaderEpoch,
  kafka.unknownLeaderEpoch,
  kafka.unknownTopicId,
  INCONSISTENT_TOPIC_ID,
])

export interface ReaderOptions {
  /** As `ReadingListener.onRecords`. */
  readonly onRecords: (records: readonly IncomingRecord[], appendedAfter: number | undefined) => void
  /** A stretch that is passed over, in order with `onRecords`; it is told as an error as well. */
  readonly onUnreadable?: ((range: UnreadableRange) => void) | undefined
  /** The list of lasting troubles has changed: another array than before. */
  readonly onTrouble?: ((troubles: readonly Trouble[]) => void) | undefined
  readonly onError: (error: Error) => void
  /** While false nothing is handed over; `wake()` when it has become true. */
  readonly mayDeliver?: () => boolean
  /** Ask for metadata at least this often (milliseconds), to learn of changes that no error tells. */
  readonly lookEvery?: number
}

export class PartitionReader implements FetchOwner {
  readonly metadata: Metadata
  readonly #options: ReaderOptions
  readonly #partitions = new Set<ReadPartition>()
  readonly #watches = new Map<string, { count: number; readonly stop: () => void }>()
  /** Ids of topics that were deleted since; and of those that took their place, once that was told. */
  readonly #retired = new Set<string>()
  readonly #told = new Set<string>()
  readonly #loops = new Map<number, FetchLoop>()
  readonly #long: BrokerPool
  readonly #express: BrokerPool
  readonly #positions: BrokerPool
  readonly #abort = new AbortController()
  readonly #stopListening: () => void
  readonly #timer: NodeJS.Timeout
  #troubles: readonly Trouble[] = []
  #tickedAt = performance.now()
  #waking = false
  #looking = false
  #lookedAt = 0
  #lookPause = FIRST_LOOK

  constructor(connections: Connections, metadata: Metadata, options: ReaderOptions) {
    this.metadata = metadata
    this.#options = options
    this.#long = connections.open(LONG_WAIT + FETCH_GRACE)
    this.#express = connections.open(FETCH_GRACE)
    this.#positions = connections.open(FETCH_GRACE)
    this.#stopListening = metadata.onChange(() => this.#settle())
    this.#timer = setInterval(() => this.#tick(), TICK)
  }

  /** The partitions that are being read. */
  get partitions(): ReadonlySet<ReadPartition> {
    return this.#partitions
  }

  /** The troubles that last now; the same array until they change. */
  troubles(): readonly Trouble[] {
    return this.#troubles
  }

  /** Begins to read. */
  add({ topic, partition }: TopicPartition, position: number): ReadPartition {
    const added: ReadPartition = {
      topic,
      partition,
      position,
      paused: false,
      removed: false,
      topicId: '',
      recreated: false,
      leader: -1,
      epoch: -1,
      notBefore: 0,
      readAt: performance.now(),
      trouble: undefined,
      flight: undefined,
    }
    this.#partitions.add(added)
    const watch = this.#watches.get(topic)
    if (watch === undefined) this.#watches.set(topic, { count: 1, stop: this.metadata.watch(topic) })
    else watch.count++
    this.#find(added)
    if (added.leader === -1) this.#look()
    else this.#wakeSoon(added.leader)
    return added
  }

  /** Nothing more of this partition is handed over. */
  remove(partition: ReadPartition): void {
    if (partition.removed) return
    partition.removed = true
    partition.flight = undefined
    this.#partitions.delete(partition)
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
    await Promise.all([this.#long.close(), this.#express.close(), this.#positions.close()])
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

  take(partition: ReadPartition, answer: FetchedPartition): void {
    const { errorCode } = answer
    if (errorCode !== kafka.none) {
      this.#refused(partition, errorCode)
      return
    }
    partition.readAt = performance.now()
    if (answer.records === undefined) {
      partition.trouble = undefined
      return
    }
    // Not handed over, and fetched again from the same position later.
    if (this.#options.mayDeliver?.() === false) return
    const { topic, position } = partition
    const decoded = decodeRecords(answer.records, topic, partition.partition, position, answer.aborted)
    partition.position = decoded.next
    if (decoded.damage === undefined) partition.trouble = undefined
    else {
      partition.notBefore = performance.now() + REFUSED_PAUSE
      this.#report(partition, 'damage', new TransportError('MILENA_BROKER_ERROR', decoded.damage.message))
    }
    if (decoded.records.length === 0) return
    try {
      this.#options.onRecords(decoded.records, undefined)
    } catch (error) {
      // A mistake of the application's must not leave the reading half done.
      this.#tell(error instanceof Error ? error : new Error(String(error)))
    }
  }

  failed(broker: number, error: unknown): void {
    const node = this.metadata.nodes.get(broker)
    if (node !== undefined) this.metadata.blame(node)
    if (error instanceof TransportError) {
      for (const one of this.#partitions) if (one.leader === broker) this.#report(one, error.code, error)
    }
    this.#look()
  }

  #refused(partition: ReadPartition, code: number): void {
    if (lookAgain.has(code)) {
      // Not fetched again before the next metadata, which names another leader or term, or the same once more.
      partition.leader = -1
      this.#look()
      return
    }
    const now = performance.now()
    if (code === OFFSET_NOT_AVAILABLE) {
      partition.notBefore = now + TICK // a new leader that does not know the high watermark yet (KIP-207)
    } else if (code === kafka.offsetOutOfRange) {
      partition.notBefore = Infinity
      void this.#reposition(partition)
    } else {
      partition.notBefore = now + REFUSED_PAUSE
      const what = `reading topic ${partition.topic}, partition ${partition.partition}`
      this.#report(partition, String(code), refusal(code, what))
    }
  }

  /** What was to be read next has expired, or was cut off by an unclean election: goes on at the earliest that is left. */
  async #reposition(partition: ReadPartition): Promise<void> {
    const { position } = partition
    try {
      // Where fetches name topics (before version 13), a topic that was made anew shows itself like this, too.
      await this.metadata.refresh()
      const [earliest] = await findOffsets(
        { metadata: this.metadata, pool: this.#positions, signal: this.#abort.signal },
        [partition],
        'earliest',
      )
      if (partition.removed || partition.position !== position) return
      partition.position = earliest!
      partition.notBefore = 0
      const where = `topic ${partition.topic}, partition ${partition.partition}`
      const lost =
        earliest! > position
          ? `${earliest! - position} offsets were deleted before they were read`
          : 'the log was cut'
      this.#tell(
        new TransportError(
          'MILENA_BROKER_ERROR',
          `${where}: offset ${position} is not there any more (${errorName(kafka.offsetOutOfRange)}, ${lost}); ` +
            `reading goes on at the earliest that is left, ${earliest}`,
        ),
      )
      this.wake()
    } catch {
      partition.notBefore = 0 // fetched again, refused again, and so on until somebody knows
    }
  }

  /** Takes in what metadata says now. */
  #settle(): void {
    let unsettled = false
    for (const one of this.#partitions) {
      this.#find(one)
      if (one.leader === -1) unsettled = true
    }
    if (!unsettled) this.#lookPause = FIRST_LOOK
    for (const one of this.#partitions) if (one.leader !== -1) this.#loop(one.leader)
    this.wake()
  }

  /** Finds the leader, and sees whether the topic is still the same one. */
  #find(one: ReadPartition): void {
    const topic = this.metadata.topic(one.topic)
    const leader = this.#same(one, topic) ? this.metadata.leader(one.topic, one.partition) : undefined
    // A fetch that is still with a former leader, who may hang, does not keep the partition back.
    if (leader !== undefined && leader.node.id !== one.leader) one.flight = undefined
    one.leader = leader?.node.id ?? -1
    one.epoch = leader?.epoch ?? -1
  }

  #same(one: ReadPartition, topic: TopicState | undefined): topic is TopicState {
    if (topic === undefined) return false
    const what = `reading topic ${one.topic}, partition ${one.partition}`
    if (topic.missing) {
      this.#report(one, 'missing', refusal(kafka.unknownTopicOrPartition, what))
      return false
    }
    if (topic.errorCode === kafka.topicAuthorizationFailed || topic.errorCode === kafka.invalidTopic) {
      this.#report(one, String(topic.errorCode), refusal(topic.errorCode, what))
      return false
    }
    // A broker that lags behind may name a topic that we know to be gone.
    if (topic.partitions.length === 0 || this.#retired.has(topic.id)) return false
    if (one.topicId !== topic.id) {
      if (one.topicId !== '') this.#recreated(one, topic)
      one.topicId = topic.id
    }
    if (one.partition < topic.partitions.length) return true
    const text = `${what}: the topic has only ${topic.partitions.length} partitions`
    this.#report(one, 'partition', new TransportError('MILENA_PARTITION_MISSING', text))
    return false
  }

  #recreated(one: ReadPartition, topic: TopicState): void {
    this.#retired.add(one.topicId)
    one.position = 0
    one.recreated = true
    one.flight = undefined
    one.notBefore = 0
    if (one.trouble === 'missing' || this.#told.has(topic.id)) return // told already
    this.#told.add(topic.id)
    const text = `reading topic ${one.topic}, partition ${one.partition}: the topic was deleted and created again`
    this.#tell(
      new TransportError(
        'MILENA_TOPIC_MISSING',
        `${text} (id ${topic.id}); reading goes on with its first record`,
      ),
    )
  }

  #loop(broker: number): FetchLoop {
    let loop = this.#loops.get(broker)
    if (loop === undefined) {
      loop = new FetchLoop(this, broker, this.#long, this.#express)
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
      this.#report(one, 'silence', new TransportError('MILENA_BROKER_UNREACHABLE', text))
    }
    if (doubtful) {
      if (now - this.#lookedAt >= this.#lookPause) this.#look()
    } else if (this.#options.lookEvery !== undefined && now - this.#lookedAt >= this.#options.lookEvery) {
      this.#look()
    }
    this.wake()
  }

  /** Asks for metadata, at once unless a question is under way; `#settle` takes the answer. */
  #look(): void {
    if (this.#looking || this.#abort.signal.aborted) return
    this.#looking = true
    this.#lookedAt = performance.now()
    this.#lookPause = Math.min(this.#lookPause * 1.5, LONGEST_LOOK)
    this.metadata.refresh().then(
      () => (this.#looking = false),
      (error: unknown) => {
        this.#looking = false
        if (!(error instanceof TransportError) || error.code !== 'MILENA_AUTHENTICATION_FAILED') return
        for (const one of this.#partitions) this.#report(one, error.code, error)
      },
    )
  }

  /** Tells a trouble once, until the partition is read again; one that all partitions of a topic share, for one of them. */
  #report(one: ReadPartition, trouble: string, error: Error): void {
    if (one.trouble === trouble) return
    const own = trouble === 'damage' || trouble === 'partition'
    const told =
      !own && [...this.#partitions].some((other) => other.topic === one.topic && other.trouble === trouble)
    one.trouble = trouble
    if (!told) this.#tell(error)
  }

  #tell(error: Error): void {
    if (!this.#abort.signal.aborted) this.#options.onError(error)
  }
}
