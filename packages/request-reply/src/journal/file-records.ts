/**
 * What stands in a file journal's segments. Records, one after the other:
 *
 *   length of the body (4 bytes, little-endian) · CRC-32 of the body (4) · body
 *   body: kind (1) · correlation id (16) · the rest by its kind
 *     entry      accepted, deadline, timeout (8 each, doubles) · length of the JSON (4) · of the key (4; 2^32 − 1: none) ·
 *                JSON (operation, topic, headers, positions) · key · has a value (1) · value
 *     finished   nothing
 *     kept       until when (8, double)
 *
 * A record that was not written in full, or not as it was meant, ends what can be read of its segment.
 */
import zlib from 'node:zlib'
import type { RecordPosition } from '../transport/transport.ts'
import type { RawHeader } from '../wire/headers.ts'
import type { JournalEntry } from './journal.ts'

export const entryKind = 1
export const finishedKind = 2
export const keptKind = 3

const prefix = 8
const idEnd = 17
const entryHead = idEnd + 24 + 8
const noKey = 0xffffffff

/** A record that was read; `offset` and `length` are those of all of it. */
export interface FileRecord {
  readonly kind: number
  /** One character for each byte. */
  readonly id: string
  readonly body: Buffer
  readonly offset: number
  readonly length: number
}

interface Described {
  readonly operation: string
  readonly topic: string
  readonly headers: readonly (readonly [string, string | null])[]
  readonly repliesFrom: readonly (readonly [string, number, number])[]
}

export function encodeEntry(entry: JournalEntry): Buffer {
  const { key, value, headers, repliesFrom, operation, topic } = entry
  const described: Described = {
    operation,
    topic,
    headers: headers.map(([name, content]) => [
      name.toString('base64'),
      content === null ? null : content.toString('base64'),
    ]),
    repliesFrom: repliesFrom.map(({ topic, partition, offset }) => [topic, partition, offset]),
  }
  const json = Buffer.from(JSON.stringify(described))
  const keyLength = key?.length ?? 0
  const body = Buffer.allocUnsafe(entryHead + json.length + keyLength + 1 + (value?.length ?? 0))
  body[0] = entryKind
  entry.correlationId.copy(body, 1)
  let at = body.writeDoubleLE(entry.acceptedAt, idEnd)
  at = body.writeDoubleLE(entry.deadline, at)
  at = body.writeDoubleLE(entry.timeout, at)
  at = body.writeUInt32LE(json.length, at)
  at = body.writeUInt32LE(key === null ? noKey : keyLength, at)
  at += json.copy(body, at)
  at += key?.copy(body, at) ?? 0
  body[at++] = value === null ? 0 : 1
  value?.copy(body, at)
  return framed(body)
}

export function encodeFinished(correlationId: Buffer, keepUntil: number | undefined): Buffer {
  const body = Buffer.allocUnsafe(keepUntil === undefined ? idEnd : idEnd + 8)
  body[0] = keepUntil === undefined ? finishedKind : keptKind
  correlationId.copy(body, 1)
  if (keepUntil !== undefined) body.writeDoubleLE(keepUntil, idEnd)
  return framed(body)
}

/** The records of a segment, up to the first that is none. */
export function* readRecords(bytes: Buffer): Generator<FileRecord> {
  let offset = 0
  while (offset + prefix <= bytes.length) {
    const length = bytes.readUInt32LE(offset)
    const end = offset + prefix + length
    if (length < idEnd || end > bytes.length) return
    const body = bytes.subarray(offset + prefix, end)
    if (zlib.crc32(body) !== bytes.readUInt32LE(offset + 4)) return
    const record = {
      kind: body[0]!,
      id: body.toString('latin1', 1, idEnd),
      body,
      offset,
      length: prefix + length,
    }
    if (!isWhole(record)) return
    yield record
    offset = end
  }
}

/** @param body of an entry's record; the entry shares its memory */
export function decodeEntry(body: Buffer): JournalEntry {
  let at = entryHead
  const jsonEnd = at + body.readUInt32LE(idEnd + 24)
  const keyLength = body.readUInt32LE(idEnd + 28)
  const { operation, topic, headers, repliesFrom } = describedIn(body, jsonEnd)
  at = jsonEnd + (keyLength === noKey ? 0 : keyLength)
  return {
    correlationId: body.subarray(1, idEnd),
    operation,
    topic,
    key: keyLength === noKey ? null : body.subarray(jsonEnd, at),
    value: body[at] === 0 ? null : body.subarray(at + 1),
    headers: headers.map(([name, content]): RawHeader => [
      Buffer.from(name, 'base64'),
      content === null ? null : Buffer.from(content, 'base64'),
    ]),
    acceptedAt: body.readDoubleLE(idEnd),
    deadline: body.readDoubleLE(idEnd + 8),
    timeout: body.readDoubleLE(idEnd + 16),
    repliesFrom: repliesFrom.map(([topic, partition, offset]): RecordPosition => ({
      topic,
      partition,
      offset,
    })),
  }
}

/** @param body of a `kept` record */
export function keptUntil(body: Buffer): number {
  return body.readDoubleLE(idEnd)
}

/** The body of one record. */
export function bodyOf(record: Buffer): Buffer {
  return record.subarray(prefix)
}

function describedIn(body: Buffer, end: number): Described {
  return JSON.parse(body.toString('utf8', entryHead, end)) as Described
}

function isWhole({ kind, body }: FileRecord): boolean {
  if (kind === finishedKind) return true
  if (kind === keptKind) return body.length >= idEnd + 8
  return kind === entryKind && body.length > entryHead
}

function framed(body: Buffer): Buffer {
  const record = Buffer.allocUnsafe(prefix + body.length)
  record.writeUInt32LE(body.length, 0)
  record.writeUInt32LE(zlib.crc32(body), 4)
  body.copy(record, prefix)
  return record
}
