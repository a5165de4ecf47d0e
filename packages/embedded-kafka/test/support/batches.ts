import { batchLayout } from '../../src/records/batch.ts'
import { crc32c } from '../../src/records/crc32c.ts'
import { Writer } from '../../src/wire/writer.ts'

export interface BatchSpec {
  readonly values?: readonly string[]
  /** Of every record. Default: none. */
  readonly key?: string
  /** Of each record, in ms; all have the first one if there are fewer. */
  readonly timestamps?: readonly number[]
  readonly producerId?: number
  readonly epoch?: number
  readonly sequence?: number
  readonly attributes?: number
  /** Turns the records into what the batch carries. */
  readonly compress?: (records: Buffer) => Buffer
}

/** A record batch of version 2, with a true CRC. */
export function makeBatch(spec: BatchSpec = {}): Buffer {
  const values = spec.values ?? ['value']
  const timestamps = values.map((_, index) => spec.timestamps?.[index] ?? spec.timestamps?.[0] ?? 1000)
  const base = timestamps[0] ?? 0
  const records = Buffer.concat(
    values.map((value, index) => {
      const record = new Writer()
      record.int8(0)
      record.varint((timestamps[index] ?? base) - base)
      record.varint(index)
      record.varint(spec.key === undefined ? -1 : Buffer.byteLength(spec.key))
      record.raw(Buffer.from(spec.key ?? ''))
      record.varint(Buffer.byteLength(value))
      record.raw(Buffer.from(value))
      record.varint(0)
      const length = new Writer()
      length.varint(record.length)
      return Buffer.concat([length.toBuffer(), record.toBuffer()])
    }),
  )
  const payload = spec.compress?.(records) ?? records
  const batch = new Writer()
  batch.int64(0)
  batch.int32(batchLayout.records - 12 + payload.length)
  batch.int32(-1)
  batch.int8(2)
  batch.int32(0)
  batch.int16(spec.attributes ?? 0)
  batch.int32(values.length - 1)
  batch.int64(base)
  batch.int64(Math.max(...timestamps))
  batch.int64(spec.producerId ?? -1)
  batch.int16(spec.epoch ?? -1)
  batch.int32(spec.sequence ?? -1)
  batch.int32(values.length)
  batch.raw(payload)
  return withCrc(batch.toBuffer())
}

/** Makes the CRC true again after a batch was changed. */
export function withCrc(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch, batchLayout.attributes), batchLayout.crc)
  return batch
}
