import assert from 'node:assert/strict'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { test } from 'node:test'
import { crc32c } from '../src/records/crc32c.ts'
import { decompress } from '../src/records/decompression.ts'
import { UnpackedTooLargeError } from '../src/records/unpacked-too-large-error.ts'
import { MalformedError } from '../src/wire/malformed-error.ts'

const limit = 1_000_000

test('CRC-32C has the check values of RFC 3720', () => {
  assert.equal(crc32c(Buffer.alloc(32, 0)), 0x8a9136aa)
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43)
  assert.equal(crc32c(Buffer.from(Array.from({ length: 32 }, (_, index) => index))), 0x46dd794e)
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  assert.equal(crc32c(Buffer.from('..123456789..'), 2, 11), 0xe3069283)
  assert.equal(crc32c(Buffer.alloc(0)), 0)
})

test('gzip and zstd unpack, and not beyond the limit', () => {
  const text = Buffer.from('milena '.repeat(1000))
  assert.deepEqual(decompress('gzip', gzipSync(text), limit), text)
  assert.deepEqual(decompress('zstd', zstdCompressSync(text), limit), text)
  assert.throws(() => decompress('gzip', gzipSync(text), 100))
  assert.throws(() => decompress('zstd', zstdCompressSync(text), 100))
})

/** "abcdabcdabcdabcd!" : the literal "abcd", a copy of 12 bytes from 4 back that overlaps itself, the literal "!". */
const snappyBlock = Buffer.from([17, 0x0c, 0x61, 0x62, 0x63, 0x64, (11 << 2) | 2, 4, 0, 0x00, 0x21])

test('a raw block of snappy unpacks, as librdkafka sends it', () => {
  assert.equal(decompress('snappy', snappyBlock, limit).toString(), 'abcdabcdabcdabcd!')
})

test('framed snappy unpacks, as Java clients send it', () => {
  const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
  const length = Buffer.from([0, 0, 0, snappyBlock.length])
  const framed = Buffer.concat([header, length, snappyBlock, length, snappyBlock])
  assert.equal(decompress('snappy', framed, limit).toString(), 'abcdabcdabcdabcd!'.repeat(2))
  assert.throws(() => decompress('snappy', framed.subarray(0, -1), limit), MalformedError)
})

test('snappy that lies about its length, or refers to before its start, is refused', () => {
  const cases = [
    Buffer.from([18, ...snappyBlock.subarray(1)]),
    Buffer.from([16, ...snappyBlock.subarray(1)]),
    Buffer.from([17, 0x0c, 0x61, 0x62, 0x63, 0x64, (11 << 2) | 2, 5, 0, 0x00, 0x21]),
    Buffer.from([4, (61 << 2) | 0, 9]),
    Buffer.alloc(0),
  ]
  for (const packed of cases) assert.throws(() => decompress('snappy', packed, limit), MalformedError)
  for (const packed of [snappyBlock, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f])]) {
    assert.throws(() => decompress('snappy', packed, 16), UnpackedTooLargeError)
  }
})

/** The same text as an LZ4 sequence: 4 literals, a match of 12 at distance 4, then 1 literal. */
const lz4Block = [0x48, 0x61, 0x62, 0x63, 0x64, 4, 0, 0x10, 0x21]

function lz4Frame(flags: number, extra: number[], blocks: number[][]): Buffer {
  const parts = [0x04, 0x22, 0x4d, 0x18, flags, 0x40, ...extra, 0]
  for (const block of blocks) parts.push(...block)
  return Buffer.from([...parts, 0, 0, 0, 0])
}

test('an LZ4 frame unpacks: packed and stored blocks, with and without content size and checksums', () => {
  const packed = [lz4Block.length, 0, 0, 0, ...lz4Block]
  const stored = [2, 0, 0, 0x80, 0x68, 0x69]
  const text = 'abcdabcdabcdabcd!'
  assert.equal(decompress('lz4', lz4Frame(0x60, [], [packed, stored]), limit).toString(), `${text}hi`)
  const sized = lz4Frame(0x68, [17, 0, 0, 0, 0, 0, 0, 0], [packed])
  assert.equal(decompress('lz4', sized, limit).toString(), text)
  const checked = lz4Frame(0x70, [], [[...packed, 1, 2, 3, 4]])
  assert.equal(decompress('lz4', checked, limit).toString(), text)
})

test('a long literal and a long match of LZ4 take their extra length bytes', () => {
  const literal = Array.from({ length: 300 }, (_, index) => index % 251)
  // 15 + 255 + 30 literals, then a match of 4 + 15 + 255 + 26 bytes from 300 back, then no more literals.
  const block = [0xff, 255, 30, ...literal, 300 & 0xff, 300 >> 8, 255, 26, 0x10, 7]
  const frame = lz4Frame(0x60, [], [[block.length & 0xff, block.length >> 8, 0, 0, ...block]])
  assert.deepEqual([...decompress('lz4', frame, limit)], [...literal, ...literal, 7])
  assert.throws(() => decompress('lz4', frame, 500), UnpackedTooLargeError)
})

test('an LZ4 frame that is cut off or refers to before its start is refused', () => {
  const whole = lz4Frame(0x60, [], [[lz4Block.length, 0, 0, 0, ...lz4Block]])
  for (let length = 0; length < whole.length; length += 1) {
    assert.throws(
      () => decompress('lz4', whole.subarray(0, length), limit),
      MalformedError,
      `${length} bytes`,
    )
  }
  const bad = lz4Frame(0x60, [], [[7, 0, 0, 0, 0x40, 0x61, 0x62, 0x63, 0x64, 5, 0]])
  assert.throws(() => decompress('lz4', bad, limit), MalformedError)
})
