/** Which records of a log belong to transactions that were aborted. */
import { RecordCursor } from './record-cursor.ts'

/** The type in a control record's key that ends an aborted transaction. */
const ABORT_MARKER = 0

/** An aborted transaction among the fetched records, as the broker lists them for read_committed readers. */
export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

/**
 * Which producers' transactions, at this point of the log, are ones that were aborted: from the first offset that the
 * broker tells to the producer's abort marker.
 */
export class AbortedProducers {
  readonly #coming: AbortedTransaction[]
  readonly #open = new Set<bigint>()

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#coming = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset)
  }

  /** The log has been read up to this offset. */
  reach(offset: number): void {
    while (this.#coming.length > 0 && this.#coming[0]!.firstOffset <= offset) {
      this.#open.add(this.#coming.shift()!.producerId)
    }
  }

  has(producerId: bigint): boolean {
    return this.#open.has(producerId)
  }

  /** Whether a marker that ends one is still to come. */
  get pending(): boolean {
    return this.#open.size > 0 || this.#coming.length > 0
  }

  /** A control batch's records: one, whose key is a version and a type. Throws when they cannot be read. */
  mark(producerId: bigint, records: Buffer): void {
    if (!this.#open.has(producerId)) return
    const cursor = new RecordCursor(records)
    cursor.varint()
    cursor.at++
    cursor.varlong()
    cursor.varint()
    const key = cursor.bytes()
    if (key !== null && key.length >= 4 && key.readInt16BE(2) === ABORT_MARKER) this.#open.delete(producerId)
  }
}
