/**
 * Records that wait, in the order in which they came. Each can be taken back, whichever it is, without a search through
 * all of them, and without a copy of the others:
 *
 * What is taken back lets go of its record at once and stays as an empty place. There are never more empty places than
 * records; beyond that they are cleared away. So taking back costs the same however many wait, and a queue that is not
 * empty has a record.
 */
import type { TransportError } from '../../../errors.ts'
import type { OutgoingRecord, RecordPosition } from '../../transport.ts'
import { maxRecordSize, type BatchRecord } from './batch-encoding.ts'
import type { Denied } from '../cluster/denials.ts'
import type { Held } from './held.ts'

/** Up to so many are looked through one by one. */
const FEW = 32
/** In place of what was taken back. */
const NOTHING: OutgoingRecord = { topic: '', key: null, value: null, headers: [] }

/** A record on its way, and whom to tell. */
export interface PendingRecord extends BatchRecord, Denied {
  record: OutgoingRecord
  /** In `performance.now()` milliseconds. */
  readonly deadline: number
  resolve(position: RecordPosition): void
  reject(error: TransportError): void
  /** Told already. In a queue: an empty place. In a batch: the deadline has passed. */
  settled: boolean
}

export class RecordQueue {
  readonly #held: Held
  #records: PendingRecord[] = []
  #empty = 0
  #bytes = 0
  /** Made when something is taken back from a long queue, and given up when records go out. */
  #index: Map<OutgoingRecord, PendingRecord> | undefined

  constructor(held: Held) {
    this.#held = held
  }

  get isEmpty(): boolean {
    return this.#records.length === 0
  }

  /** Of what waits, as it would stand in a batch. */
  get bytes(): number {
    return this.#bytes
  }

  add(pending: PendingRecord): void {
    this.#records.push(pending)
    this.#bytes += maxRecordSize(pending)
    this.#index?.set(pending.record, pending)
  }

  /** Before all others. */
  putBack(records: readonly PendingRecord[]): void {
    for (const one of records) this.#bytes += maxRecordSize(one)
    this.#records = records.concat(this.#records)
    this.#index = undefined
  }

  /** How many from the head, at most `most`, have at most so many bytes; at least one if there is one. */
  fitting(most: number, bytes: number): number {
    this.#clear()
    let count = 0
    let left = bytes
    while (count < this.#records.length && count < most) {
      left -= maxRecordSize(this.#records[count]!)
      if (count > 0 && left < 0) break
      count++
    }
    return count
  }

  /** Takes so many from the head; they are held on. */
  take(count: number): PendingRecord[] {
    this.#clear()
    this.#index = undefined
    if (count === this.#records.length) {
      const all = this.#records
      this.#records = []
      this.#bytes = 0
      return all
    }
    const taken = this.#records.slice(0, count)
    this.#records = this.#records.slice(count)
    for (const one of taken) this.#bytes -= maxRecordSize(one)
    return taken
  }

  takeAll(): PendingRecord[] {
    this.#clear()
    return this.take(this.#records.length)
  }

  /** Whether the record was here and is so no more. */
  withdraw(record: OutgoingRecord, error: () => TransportError): boolean {
    const pending = this.#find(record)
    if (pending === undefined) return false
    this.#index?.delete(record)
    this.#bytes -= maxRecordSize(pending)
    this.#held.drop(pending)
    pending.settled = true
    pending.record = NOTHING
    pending.reject(error())
    this.#empty++
    if (this.#empty * 2 > this.#records.length) this.#clear()
    return true
  }

  /** Rejects those at the head whose time is over. */
  rejectOverdue(now: number, error: () => TransportError): void {
    if (this.isEmpty || this.#records[0]!.deadline > now) return
    this.#clear()
    let count = 0
    while (count < this.#records.length && this.#records[count]!.deadline <= now) count++
    if (count > 0) this.#reject(this.take(count), error())
  }

  /** Rejects those for which `reason` gives an error. */
  reject(reason: (pending: PendingRecord) => TransportError | undefined): void {
    if (this.isEmpty) return
    const all = this.takeAll()
    this.putBack(
      all.filter((pending) => {
        const error = reason(pending)
        if (error !== undefined) this.#reject([pending], error)
        return error === undefined
      }),
    )
  }

  #reject(taken: readonly PendingRecord[], error: TransportError): void {
    for (const pending of taken) {
      this.#held.drop(pending)
      pending.settled = true
      pending.reject(error)
    }
  }

  #find(record: OutgoingRecord): PendingRecord | undefined {
    if (this.#records.length <= FEW) return this.#records.find((one) => one.record === record)
    if (this.#index === undefined) {
      this.#index = new Map()
      for (const one of this.#records) if (!one.settled) this.#index.set(one.record, one)
    }
    return this.#index.get(record)
  }

  #clear(): void {
    if (this.#empty === 0) return
    this.#records = this.#records.filter((one) => !one.settled)
    this.#empty = 0
    if (this.#records.length <= FEW) this.#index = undefined
  }
}
