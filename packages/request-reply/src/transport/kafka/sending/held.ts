/**
 * What the sender holds in memory, kept up as it changes, so that asking costs nothing.
 *
 * A record counts from `send` until nothing refers to it any more: while it waits, and as part of a batch until the
 * batch is let go of, even when its promise has settled before (its deadline has passed, another leader has answered).
 * A batch counts with what it was written into, beside its records.
 */
import { maxRecordSize, type BatchRecord } from './batch-encoding.ts'

/** A batch, as far as it takes up memory. */
export interface HeldBatch {
  readonly bytes: Buffer
  readonly records: readonly BatchRecord[]
  /** How many hold it: the queue, and each request with it that has not ended. */
  holders: number
}

export class Held {
  records = 0
  bytes = 0

  add(record: BatchRecord): void {
    this.records++
    this.bytes += maxRecordSize(record)
  }

  drop(record: BatchRecord): void {
    this.records--
    this.bytes -= maxRecordSize(record)
  }

  /** Its records are held already; from now on it answers for them. */
  addBatch(batch: HeldBatch): void {
    this.bytes += memoryOf(batch.bytes)
  }

  share(batch: HeldBatch): void {
    batch.holders++
  }

  letGo(batch: HeldBatch): void {
    if (--batch.holders > 0) return
    this.bytes -= memoryOf(batch.bytes)
    for (const record of batch.records) this.drop(record)
  }
}

/** A small batch is a piece of Node's pool; a larger one keeps all that was taken for it, however little it became. */
function memoryOf(bytes: Buffer): number {
  const whole = bytes.buffer.byteLength
  return whole > Buffer.poolSize ? whole : bytes.length
}
