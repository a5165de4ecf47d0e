/** Reads partitions of a topic without a group. */
import { Cursor, type PartitionLog, type TopicLog } from './log.ts'
import { partitionMissing, topicMissing, transportClosed } from './refusals.ts'
import { askedFor, startWithin } from '../start-positions.ts'
import type { RecordPosition, Tail, TailOptions, Trouble } from '../transport.ts'
import type { ClusterState } from './cluster-state.ts'
import type { Link } from './link.ts'

export class MemoryTail implements Tail {
  readonly #cluster: ClusterState
  readonly #link: Link
  readonly #options: TailOptions
  readonly #closed: () => void
  /** By partition; also those that were stopped, for where they stood. */
  readonly #cursors = new Map<number, Cursor>()
  readonly #refresh = (): void => this.#topicsChanged()
  readonly #waiting = new Set<() => void>()
  #topic: TopicLog
  #troubles: readonly Trouble[] = []
  #open = true

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
    this.#read((log) => this.#start(log))
    cluster.watch(this.#refresh)
  }

  positions(): readonly RecordPosition[] {
    const { topic } = this.#options
    return [...this.#cursors].map(([partition, { position }]) => ({ topic, partition, offset: position }))
  }

  troubles(): readonly Trouble[] {
    return this.#troubles
  }

  async caughtUp(): Promise<void> {
    if (!this.#open) return
    // The question goes to the broker, and its answer comes back, as everything does.
    await this.#passed()
    let ends = this.#ends()
    await this.#passed()
    while (this.#open && ![...ends].every(([cursor, end]) => cursor.position >= end)) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
      // What was deleted cannot be caught up with; what took its place can.
      if ([...ends.keys()].some((cursor) => cursor.stopped)) ends = this.#ends()
    }
  }

  /** The transport is closed below: the only trouble from now on. */
  transportClosed(): void {
    const error = transportClosed(`topic ${this.#options.topic} is not read any more`)
    this.#setTroubles([{ kind: 'closed', since: this.#cluster.clock.now(), error }])
  }

  close(): Promise<void> {
    this.#open = false
    this.#cluster.unwatch(this.#refresh)
    for (const cursor of this.#cursors.values()) cursor.stop()
    this.#goOn()
    this.#closed()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #start(log: PartitionLog): number {
    const { from } = this.#options
    const end = log.records.length
    if (from === 'latest') return end
    if (from === 'earliest') return 0
    const asked = askedFor(from, log)
    return asked === undefined
      ? end
      : startWithin(log, asked, 0, end, (error) => this.#options.onError?.(error))
  }

  #read(start: (log: PartitionLog) => number): void {
    const { partitions } = this.#options
    for (const log of this.#topic.partitions) {
      if (this.#cursors.get(log.partition)?.stopped === false) continue
      if (partitions !== 'all' && !partitions.includes(log.partition)) continue
      const cursor = new Cursor(
        this.#link,
        log,
        start(log),
        () => this.#cluster.faults,
        (records, appendedAfter) => {
          this.#options.onRecords(records, appendedAfter)
          this.#goOn()
        },
      )
      this.#cursors.set(log.partition, cursor)
      cursor.start()
    }
  }

  /** A partition that comes later, and a topic that was made anew, are read from their first record. */
  #topicsChanged(): void {
    const topic = this.#cluster.topics.get(this.#options.topic)
    if (topic !== this.#topic) for (const cursor of this.#cursors.values()) cursor.stop()
    if (topic !== undefined) {
      this.#topic = topic
      this.#read(() => 0)
    }
    this.#link.after(0, () => this.#lookForTrouble())
    this.#goOn()
  }

  #lookForTrouble(): void {
    if (!this.#open) return
    const { topic: name, partitions } = this.#options
    const topic = this.#cluster.topics.get(name)
    const since = this.#cluster.clock.now()
    const found: Trouble[] = []
    if (topic === undefined) {
      found.push({ kind: 'topic-missing', topic: name, since, error: topicMissing(name) })
    } else {
      const count = topic.partitions.length
      for (const partition of partitions === 'all' ? [...this.#cursors.keys()] : partitions) {
        if (partition < count) continue
        const error = partitionMissing(name, partition, count)
        found.push({ kind: 'partition-missing', topic: name, partition, since, error })
      }
    }
    this.#setTroubles(found)
  }

  /** Keeps what lasts; tells what is new. */
  #setTroubles(found: readonly Trouble[]): void {
    const before = this.#troubles
    const lasting = found.map((one) => before.find((other) => same(one, other)) ?? one)
    if (lasting.length === before.length && lasting.every((one) => before.includes(one))) return
    this.#troubles = lasting
    this.#options.onTrouble?.(lasting)
    for (const one of lasting)
      if (!before.includes(one) && one.kind !== 'closed') this.#options.onError?.(one.error)
  }

  #ends(): ReadonlyMap<Cursor, number> {
    if (this.#cluster.topics.get(this.#options.topic) === undefined) return nowhere(this.#cursors)
    const reading = [...this.#cursors.values()].filter((cursor) => !cursor.stopped)
    return new Map(reading.map((cursor) => [cursor, cursor.log.records.length]))
  }

  #goOn(): void {
    for (const goOn of this.#waiting) goOn()
    this.#waiting.clear()
  }

  /** One way between client and broker; at once when the tail is closed. */
  #passed(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(resolve)
      this.#link.after(0, () => {
        this.#waiting.delete(resolve)
        resolve()
      })
    })
  }
}

/** Of a topic that is missing: nobody knows where it will end, so these wait until it is there again. */
function nowhere(cursors: ReadonlyMap<number, Cursor>): ReadonlyMap<Cursor, number> {
  return new Map([...cursors.values()].map((cursor) => [cursor, Infinity]))
}

function same(one: Trouble, other: Trouble): boolean {
  return one.kind === other.kind && one.topic === other.topic && one.partition === other.partition
}
