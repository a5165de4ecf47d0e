/**
 * Sends records: gathers what comes while a request is on its way and sends it with the next.
 *
 *   send ─▶ topic known? ── no ──▶ unrouted ──┐
 *             │ yes                           │ metadata, again and again until
 *             ▼                               │ found, refused or out of time
 *       partition queue ─ leader? ─ no ─▶ stuck
 *             │ yes                           │
 *             ▼                               ▼
 *       broker of the leader ◀───────────── search.look()
 *             │ one Produce in flight each way, with one batch of each ready partition
 *             ▼
 *       answered ─▶ done | look again (stuck)
 *
 * A partition goes one way at a time, so that its batches go out one after another; `partition-queue.ts` has the rules
 * that keep order and uniqueness when answers fail to come. Nothing waits for ever: each record has a deadline.
 */
import { systemClock, within } from '../../../clock.ts'
import type { OutgoingRecord, RecordPosition } from '../../transport.ts'
import { batchHeadSize, bodySize } from './batch-encoding.ts'
import { BatchMemory } from './batch-memory.ts'
import { BrokerSender, type BrokerSenderHost, type Patience } from './broker-sender.ts'
import type { BrokerNode } from '../cluster/metadata.ts'
import { Held } from './held.ts'
import { LeaderSearch } from './leader-search.ts'
import type { PartitionQueue, QueueSettings, QueueSurroundings } from './partition-queue.ts'
import type { PartitionBatch, PartitionResult } from './produce.ts'
import { Producers } from './producers.ts'
import type { PendingRecord } from './record-queue.ts'
import { closedBefore, impossible, neverRouted, notARecord } from './send-errors.ts'
import { TopicQueues, type Layout } from './topic-queues.ts'

/** What the sender asks of the cluster; the first four as in `Metadata`. */
export interface SenderCluster extends Layout {
  watch(topic: string): () => void
  refresh(): Promise<void>
  onChange(listener: () => void): () => void
  /** Whether `produce` can go out at once. */
  connected(node: BrokerNode, patience: Patience): boolean
  connect(node: BrokerNode, patience: Patience): Promise<void>
  /** Rejects when no answer came. */
  produce(
    node: BrokerNode,
    batches: readonly PartitionBatch[],
    patience: Patience,
  ): Promise<PartitionResult[]>
  newProducerId(): Promise<bigint>
}

export interface SenderSettings extends QueueSettings {
  /** Milliseconds. */
  readonly linger: number
  /** Milliseconds. */
  readonly deliveryTimeout: number
  /** Milliseconds that `close` waits for requests on their way. */
  readonly closeTimeout: number
}

/** Milliseconds without an answer after which the leader is looked up: it may have moved away from a hung broker. */
const SLOW_ANSWER = 1_000
/** Milliseconds between two looks at deadlines and slow answers. */
const SWEEP = 250
/** Milliseconds without a record after which a topic is forgotten. */
const FORGET_AFTER = 300_000

export class Sender {
  readonly #cluster: SenderCluster
  readonly #settings: SenderSettings
  readonly #producers = new Producers()
  readonly #held = new Held()
  readonly #surroundings: QueueSurroundings
  readonly #topics = new Map<string, TopicQueues>()
  readonly #unwatch = new Map<string, () => void>()
  /** By `<patience> <id>`. */
  readonly #brokers = new Map<string, BrokerSender>()
  readonly #search: LeaderSearch
  readonly #brokerHost: BrokerSenderHost
  readonly #stopListening: () => void
  #identity: Promise<void> | undefined
  #sweepTimer: NodeJS.Timeout | undefined
  #closed = false
  #closing: Promise<void> | undefined
  #landed: (() => void) | undefined

  constructor(cluster: SenderCluster, settings: SenderSettings) {
    this.#cluster = cluster
    this.#settings = settings
    this.#surroundings = {
      settings,
      producers: this.#producers,
      memory: new BatchMemory(),
      held: this.#held,
    }
    this.#search = new LeaderSearch(cluster, this.#topics, settings.deliveryTimeout, (queue) =>
      this.#place(queue),
    )
    this.#brokerHost = this.#hostBrokers()
    this.#stopListening = cluster.onChange(() => this.#onLayout())
  }

  /** As `Transport.send`. */
  send(record: OutgoingRecord): Promise<RecordPosition> {
    let size: number
    try {
      size = bodySize(record)
    } catch (error) {
      return Promise.reject(notARecord(record, error))
    }
    const now = performance.now()
    return new Promise((resolve, reject) => {
      const pending: PendingRecord = {
        record,
        bodySize: size,
        timestamp: Date.now(),
        deadline: now + this.#settings.deliveryTimeout,
        resolve,
        reject,
        settled: false,
      }
      const wrong = impossible(pending)
      if (wrong !== undefined) return reject(wrong)
      if (this.#closed) return reject(closedBefore(record.topic, {}))
      this.#held.add(pending)
      this.#armSweep()
      const topic = this.#topics.get(record.topic) ?? this.#openTopic(record.topic)
      topic.usedAt = now
      const queue = topic.add(pending, now)
      if (queue === undefined) this.#search.look()
      else if (queue.hasWork && !this.#search.has(queue)) this.#place(queue)
    })
  }

  /** As `Transport.withdraw`. */
  withdraw(record: OutgoingRecord): boolean {
    return this.#topics.get(record.topic)?.withdraw(record) ?? false
  }

  /** As `Transport.sending`. */
  sending(): { readonly records: number; readonly bytes: number } {
    const { records, bytes } = this.#held
    return { records, bytes }
  }

  #openTopic(name: string): TopicQueues {
    const topic = new TopicQueues(name, this.#cluster, this.#surroundings)
    this.#topics.set(name, topic)
    this.#unwatch.set(name, this.#cluster.watch(name))
    return topic
  }

  #hostBrokers(): BrokerSenderHost {
    const cluster = this.#cluster
    return {
      isReady: (node, patience) => this.#producers.current !== undefined && cluster.connected(node, patience),
      prepare: (node, patience) => this.#prepare(node, patience),
      produce: (node, batches, patience) => cluster.produce(node, batches, patience),
      leads: (node, queue) => cluster.leader(queue.topic, queue.partition)?.node.id === node.id,
      lingers: (queue, now) => this.#lingers(queue, now),
      place: (queue) => this.#place(queue),
      unprepared: (queues, problem) => {
        for (const queue of queues) this.#search.setBack(queue, problem)
        this.#search.look()
      },
      departed: (queue, batch) => {
        this.#held.share(batch)
        this.#topics.get(queue.topic)?.departed(queue.partition)
      },
      lookAgain: (queue) => {
        if (queue.hasWork) this.#search.add(queue)
      },
      ended: (batches) => {
        for (const batch of batches) this.#held.letGo(batch)
        if (this.#search.isOpen) this.#search.look()
        this.#landed?.()
      },
    }
  }

  /** Hands a queue with work to its leader's broker. */
  #place(queue: PartitionQueue): void {
    const leader = this.#cluster.leader(queue.topic, queue.partition)
    if (leader === undefined) {
      this.#search.add(queue)
      this.#search.look()
      return
    }
    const patience = queue.slow ? 'long' : 'short'
    const way = `${patience} ${leader.node.id}`
    let broker = this.#brokers.get(way)
    if (broker === undefined)
      this.#brokers.set(way, (broker = new BrokerSender(leader.node, patience, this.#brokerHost)))
    broker.node = leader.node
    broker.enqueue(queue)
  }

  async #prepare(node: BrokerNode, patience: Patience): Promise<void> {
    await this.#cluster.connect(node, patience)
    if (this.#producers.current === undefined) await (this.#identity ??= this.#identify())
  }

  async #identify(): Promise<void> {
    try {
      this.#producers.adopt(await this.#cluster.newProducerId())
    } finally {
      this.#identity = undefined
    }
  }

  #lingers(queue: PartitionQueue, now: number): number {
    const { linger, batchSize } = this.#settings
    if (linger === 0 || queue.repeats || queue.queuedBytes + batchHeadSize >= batchSize) return 0
    return queue.queuedSince + linger - now
  }

  /** New metadata. */
  #onLayout(): void {
    const now = performance.now()
    for (const topic of this.#topics.values()) {
      // At once, so that a record sent from now on cannot overtake them.
      for (const queue of topic.reroute(now))
        if (queue.hasWork && !this.#search.has(queue)) this.#place(queue)
      this.#forgetIfIdle(topic, now)
    }
    for (const broker of this.#brokers.values()) {
      broker.release((queue) => {
        const leader = this.#cluster.leader(queue.topic, queue.partition)
        return leader !== undefined && leader.node.id !== broker.node.id
      })
    }
  }

  #forgetIfIdle(topic: TopicQueues, now: number): void {
    const gone = this.#cluster.topic(topic.name)?.missing === true
    if ((!gone && now - topic.usedAt < FORGET_AFTER) || topic.pending) return
    topic.forget()
    this.#topics.delete(topic.name)
    this.#unwatch.get(topic.name)?.()
    this.#unwatch.delete(topic.name)
  }

  #armSweep(): void {
    this.#sweepTimer ??= setTimeout(() => this.#sweep(), Math.min(SWEEP, this.#settings.deliveryTimeout))
  }

  /** Deadlines and slow answers; runs only while something is pending. */
  #sweep(): void {
    this.#sweepTimer = undefined
    const now = performance.now()
    let pending = false
    for (const topic of this.#topics.values()) {
      for (const queue of topic.queues) if (queue.pending) queue.expire(now)
      topic.rejectUnrouted(({ deadline }) =>
        deadline <= now
          ? neverRouted(topic.name, this.#cluster.topic(topic.name)?.errorCode ?? 0)
          : undefined,
      )
      pending ||= topic.pending
    }
    const slow = [...this.#brokers.values()].some(
      (broker) => now - (broker.waitingSince ?? now) > SLOW_ANSWER,
    )
    if (slow) this.#cluster.refresh().catch(() => undefined)
    if (pending) this.#armSweep()
  }

  /**
   * Rejects what is queued, waits for what is on its way for at most `closeTimeout`, then rejects that too. Nothing of
   * the sender runs afterwards, but for a request for metadata, which ends with its owner.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#closed = true
    this.#stopListening()
    this.#search.close()
    this.#failAll(true)
    const inFlight = (): boolean => [...this.#brokers.values()].some((broker) => broker.inFlight)
    if (inFlight()) {
      const landed = Promise.withResolvers<void>()
      this.#landed = () => {
        if (!inFlight()) landed.resolve()
      }
      await within(systemClock, this.#settings.closeTimeout, landed.promise)
    }
    this.#failAll(false)
    clearTimeout(this.#sweepTimer)
    for (const unwatch of this.#unwatch.values()) unwatch()
    this.#topics.clear()
  }

  #failAll(keepFlying: boolean): void {
    for (const topic of this.#topics.values())
      topic.fail((details) => closedBefore(topic.name, details), keepFlying)
    for (const broker of this.#brokers.values()) broker.clear()
    this.#search.clear()
  }
}
