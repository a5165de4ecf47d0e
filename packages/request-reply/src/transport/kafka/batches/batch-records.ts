/**
 * The records of one batch, from its bytes.
 *
 * Layout: KIP-98 (magic 2), `org.apache.kafka.common.record.DefaultRecord`. Nothing that a batch says of itself is
 * believed: whoever may write to a topic chose it.
 */
import type { RawHeader } from '../../../wire/headers.ts'
import type { IncomingRecord, TopicPartition } from '../../transport.ts'
import { decompress } from './decompression.ts'
import { RecordCursor } from './record-cursor.ts'
import { TooLarge } from './unpacked.ts'

/** Bytes that a record takes in memory beside its contents: objects, and the Buffers of key and value (V8, measured). */
const RECORD_MEMORY = 400
/** Bytes that a header takes in memory beside its contents. */
const HEADER_MEMORY = 300

/** What the head of a batch says, as far as its records need it. */
export interface BatchHead {
  readonly base: number
  /** The last offset. */
  readonly last: number
  readonly compression: number
  readonly baseTimestamp: number
  /** When the broker appended it; where it does not say so, each record has a time of its own. */
  readonly appendedAt: number | undefined
  readonly count: number
}

/**
 * Adds to `into` what stands from offset `from` on; returns the bytes that became of it in memory. Throws `TooLarge` when
 * that would be more than `allowance`, and an Error for what cannot be read.
 */
export function decodeRecords(
  packed: Buffer,
  head: BatchHead,
  { topic, partition }: TopicPartition,
  from: number,
  allowance: number,
  into: IncomingRecord[],
): number {
  const { base, last, baseTimestamp, appendedAt } = head
  const bytes = head.compression === 0 ? packed : decompress(head.compression, packed, allowance)
  const cursor = new RecordCursor(bytes)
  let memory = bytes.length
  let before: readonly RawHeader[] = []
  let previous = base - 1
  if (head.count < 0) throw new Error('it has less than no records')
  for (let left = head.count; left > 0; left--) {
    const length = cursor.varint()
    const recordEnd = cursor.at + length
    if (length < 0 || recordEnd > bytes.length) throw new Error('a record is longer than its batch')
    cursor.at++ // attributes, unused
    const timestampDelta = cursor.varlong()
    const offset = base + cursor.varint()
    if (offset <= previous || offset > last) throw new Error('its offsets are not in order')
    previous = offset
    if (offset < from) {
      cursor.at = recordEnd
      continue
    }
    memory += RECORD_MEMORY
    if (memory > allowance) throw new TooLarge()
    const key = cursor.bytes()
    const value = cursor.bytes()
    let size = (key === null ? 0 : key.length) + (value === null ? 0 : value.length)
    const headers: RawHeader[] = []
    for (let count = cursor.varint(); count > 0; count--) {
      const name = cursor.bytesOr(before[headers.length]?.[0])
      if (name === null || cursor.at > recordEnd) throw new Error('a header is damaged')
      const content = cursor.bytes()
      size += name.length + (content === null ? 0 : content.length)
      memory += HEADER_MEMORY
      if (memory > allowance) throw new TooLarge()
      headers.push([name, content])
    }
    if (cursor.at !== recordEnd) throw new Error('a record is not as long as it says')
    const timestamp = appendedAt ?? baseTimestamp + timestampDelta
    if (appendedAt === undefined)
      into.push({ topic, partition, offset, key, value, headers, timestamp, size })
    else
      into.push({
        topic,
        partition,
        offset,
        key,
        value,
        headers,
        timestamp,
        size,
        timestampType: 'LogAppendTime',
      })
    before = headers
  }
  if (cursor.at !== bytes.length) throw new Error('it has more records than it says')
  return memory
}
