/** Reads partitions of a topic without a group. */
import { Cursor, type TopicLog } from './log.ts'
import { partitionMissing, topicMissing } from './refusals.ts'
import type { Tail, TailOptions } from '../transport.ts'
import type { ClusterState } from './cluster-state.ts'
import type { Link } from './link.ts'

export class MemoryTail implements Tail {
  readonly #cluster: ClusterState
  readonly #link: Link
  readonly #options: TailOptions
  readonly #closed: () => void
  readonly #cursors = new Map<number, Cursor>()
  readonly #refresh = (): void => this.#topicsChanged()
  #topic: TopicLog

  /** Positions every partition; throws when there is nothing to read. */
  constructor(cluster: ClusterState, link: Link, options: TailOptions, closed: () => void) {
    this.#cluster = cluster
    this.#link = link
    this.#options = options
    this.#closed = closed
    const topic = cluster.topics.get(options.topic)
    if (!topic) throw topicMissing(options.topic)
    if (options.partitions !== 'all')
      for (const partition of options.partitions)
        if (!topic.partitions[partition])
          throw partitionMissing(topic.name, partition, topic.partitions.length)
    this.#topic = topic
    this.#read(options.from === 'latest')
    cluster.watch(this.#refresh)
  }

  close(): Promise<void> {
    this.#cluster.unwatch(this.#refresh)
    this.#stopCursors()
    this.#closed()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #read(fromEnd: boolean): void {
    for (const log of this.#topic.partitions) {
      const { partitions } = this.#options
      if (this.#cursors.has(log.partition)) continue
      if (partitions !== 'all' && !partitions.includes(log.partition)) continue
      const cursor = new Cursor(
        this.#link,
        log,
        fromEnd ? log.records.length : 0,
        () => this.#cluster.faults,
        (records) => this.#options.onRecords(records),
      )
      this.#cursors.set(log.partition, cursor)
      cursor.start()
    }
  }

  /** A partition that comes later, and a topic that was made anew, are read from their first record. */
  #topicsChanged(): void {
    const topic = this.#cluster.topics.get(this.#options.topic)
    if (topic === this.#topic) {
      this.#read(false)
    } else if (topic) {
      this.#stopCursors()
      this.#topic = topic
      this.#read(false)
    } else if (this.#cursors.size > 0) {
      this.#stopCursors()
      this.#link.after(0, () => this.#options.onError?.(topicMissing(this.#options.topic)))
    }
  }

  #stopCursors(): void {
    for (const cursor of this.#cursors.values()) cursor.stop()
    this.#cursors.clear()
  }
}
