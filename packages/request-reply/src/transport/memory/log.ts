/**
 * Topics and their partitions as the in-memory broker keeps them: everything stays until the topic is deleted.
 */
import type { IncomingRecord, OutgoingRecord, TopicPartition } from '../transport.ts'
import type { MemoryFaults } from './faults.ts'
import type { Link } from './link.ts'
import type { ScheduledTimer } from '../../clock.ts'

/** The most records that are handed over at once. */
const mostRecords = 500

export class PartitionLog implements TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly records: IncomingRecord[] = []
  readonly #watchers = new Set<() => void>()

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  append(record: OutgoingRecord, timestamp: number): IncomingRecord {
    const stored: IncomingRecord = {
      topic: this.topic,
      partition: this.partition,
      offset: this.records.length,
      key: record.key,
      value: record.value,
      headers: record.headers,
      timestamp,
      size: recordSize(record),
    }
    this.records.push(stored)
    for (const wake of this.#watchers) wake()
    return stored
  }

  watch(wake: () => void): void {
    this.#watchers.add(wake)
  }

  unwatch(wake: () => void): void {
    this.#watchers.delete(wake)
  }
}

export class TopicLog {
  readonly name: string
  readonly partitions: PartitionLog[] = []
  readonly configs: Readonly<Record<string, string>>

  constructor(name: string, partitions: number, configs: Readonly<Record<string, string>>) {
    this.name = name
    this.configs = configs
    this.grow(partitions)
  }

  grow(total: number): void {
    while (this.partitions.length < total)
      this.partitions.push(new PartitionLog(this.name, this.partitions.length))
  }
}

/** Bytes of key, value and headers. */
export function recordSize(record: OutgoingRecord): number {
  let size = (record.key?.length ?? 0) + (record.value?.length ?? 0)
  for (const [name, value] of record.headers) size += name.length + (value?.length ?? 0)
  return size
}

/** A reader's place in one partition. */
export class Cursor {
  readonly #link: Link
  readonly #log: PartitionLog
  readonly #faults: () => MemoryFaults
  readonly #onRecords: (records: readonly IncomingRecord[], appendedAfter: number | undefined) => void
  readonly #wake = (): void => this.#appended()
  #position: number
  /** When all that was there had last been read: whatever comes later was appended after that. */
  #emptyAt: number | undefined
  #timer: ScheduledTimer | undefined
  #paused = false
  #stopped = false

  constructor(
    link: Link,
    log: PartitionLog,
    position: number,
    faults: () => MemoryFaults,
    onRecords: (records: readonly IncomingRecord[], appendedAfter: number | undefined) => void,
  ) {
    this.#link = link
    this.#log = log
    this.#position = position
    this.#faults = faults
    this.#onRecords = onRecords
  }

  get log(): PartitionLog {
    return this.#log
  }

  /** The offset of the next record that is handed over. */
  get position(): number {
    return this.#position
  }

  get stopped(): boolean {
    return this.#stopped
  }

  start(): void {
    this.#log.watch(this.#wake)
    this.#fetch()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#fetch()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#log.unwatch(this.#wake)
  }

  #appended(): void {
    // All but this one had been read.
    if (this.#position === this.#log.records.length - 1) this.#emptyAt = this.#link.clock.monotonic()
    this.#fetch()
  }

  #fetch(): void {
    if (this.#timer !== undefined || this.#paused || this.#stopped) return
    if (this.#position >= this.#log.records.length) return
    const delay = this.#faults().deliveryDelay?.(this.#log, this.#link.clientId) ?? 0
    this.#timer = this.#link.after(delay, () => this.#deliver())
  }

  #deliver(): void {
    this.#timer = undefined
    if (this.#paused || this.#stopped) return
    const records = this.#log.records.slice(this.#position, this.#position + mostRecords)
    const appendedAfter = this.#emptyAt
    this.#position += records.length
    this.#fetch()
    this.#onRecords(records, appendedAfter)
  }
}
