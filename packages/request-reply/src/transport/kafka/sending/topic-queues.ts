/** The partition queues of one topic, and the records that cannot be routed yet. */
import type { ErrorDetails, TransportError } from '../../../errors.ts'
import { partitionForKey } from '../../partitioner.ts'
import type { OutgoingRecord } from '../../transport.ts'
import type { Leader, TopicState } from '../cluster/metadata.ts'
import { PartitionQueue, type QueueSurroundings } from './partition-queue.ts'
import { RecordQueue, type PendingRecord } from './record-queue.ts'
import { takenBack } from './send-errors.ts'

/** What is to be known of the cluster to choose a partition. */
export interface Layout {
  topic(name: string): TopicState | undefined
  leader(topic: string, partition: number): Leader | undefined
}

export class TopicQueues {
  readonly name: string
  /** When the last record came, in `performance.now()` milliseconds. */
  usedAt = 0
  readonly #layout: Layout
  readonly #surroundings: QueueSurroundings
  readonly #queues = new Map<number, PartitionQueue>()
  readonly #unrouted: RecordQueue
  /** Where records without a key go until a batch has gone there. */
  #keyless = Math.floor(Math.random() * 1_024)
  #keylessOpen = false

  constructor(name: string, layout: Layout, surroundings: QueueSurroundings) {
    this.name = name
    this.#layout = layout
    this.#surroundings = surroundings
    this.#unrouted = new RecordQueue(surroundings.held)
  }

  /** Records wait for the topic's partitions to be known, or for a partition that it does not have. */
  get hasUnrouted(): boolean {
    return !this.#unrouted.isEmpty
  }

  /** Somebody waits for a record of this topic. */
  get pending(): boolean {
    return this.hasUnrouted || [...this.#queues.values()].some((queue) => queue.pending)
  }

  get queues(): Iterable<PartitionQueue> {
    return this.#queues.values()
  }

  /** How many partitions the topic has; 0 while that is not known. */
  get count(): number {
    return this.#layout.topic(this.name)?.partitions.length ?? 0
  }

  /** Puts a record into its partition's queue and returns that; keeps it until `reroute` when there is no such partition. */
  add(pending: PendingRecord, now: number): PartitionQueue | undefined {
    const queue = this.#route(pending, now)
    if (queue === undefined) this.#unrouted.add(pending)
    return queue
  }

  /** Tries again, in the order in which they came; returns the queues that got something. */
  reroute(now: number): Set<PartitionQueue> {
    const found = new Set<PartitionQueue>()
    if (this.count === 0 || this.#unrouted.isEmpty) return found
    for (const pending of this.#unrouted.takeAll()) {
      const queue = this.add(pending, now)
      if (queue !== undefined) found.add(queue)
    }
    return found
  }

  #route(pending: PendingRecord, now: number): PartitionQueue | undefined {
    const { count } = this
    if (count === 0) return undefined
    const { key, partition: wanted } = pending.record
    const partition = wanted ?? (key === null ? this.#pickPartition(count) : partitionForKey(key, count))
    if (partition >= count) return undefined
    let queue = this.#queues.get(partition)
    if (queue === undefined) {
      queue = new PartitionQueue(this.name, partition, this.#surroundings)
      this.#queues.set(partition, queue)
    }
    queue.add(pending, now)
    return queue
  }

  /** Records without a key stay together until a batch has gone, and keep away from partitions without a leader. */
  #pickPartition(count: number): number {
    if (this.#keylessOpen && this.#layout.leader(this.name, this.#keyless) !== undefined) return this.#keyless
    this.#keylessOpen = true
    for (let i = 1; i <= count; i++) {
      const partition = (this.#keyless + i) % count
      if (this.#layout.leader(this.name, partition) === undefined) continue
      this.#keyless = partition
      return partition
    }
    this.#keyless = (this.#keyless + 1) % count
    return this.#keyless
  }

  /** A batch of this partition goes out: the next record without a key begins one elsewhere. */
  departed(partition: number): void {
    if (partition === this.#keyless) this.#keylessOpen = false
  }

  /** Takes a record back that waits, for its partition to be known or in a queue. */
  withdraw(record: OutgoingRecord): boolean {
    if (this.#unrouted.withdraw(record, () => takenBack(this.name))) return true
    if (typeof record.partition === 'number')
      return this.#queues.get(record.partition)?.withdraw(record) ?? false
    // Where it went is not known for certain: the topic may have grown since.
    for (const queue of this.#queues.values()) if (queue.withdraw(record)) return true
    return false
  }

  /** Rejects those among the unrouted for which `reason` gives an error. */
  rejectUnrouted(reason: (pending: PendingRecord) => TransportError | undefined): void {
    this.#unrouted.reject(reason)
  }

  /** Rejects everything; as `PartitionQueue.fail`. */
  fail(error: (details: ErrorDetails) => TransportError, keepFlying: boolean): void {
    this.rejectUnrouted(() => error({}))
    for (const queue of this.#queues.values()) queue.fail(error, keepFlying)
  }

  /** Nothing of this is used any more. */
  forget(): void {
    for (const queue of this.#queues.values()) queue.forget()
  }
}
