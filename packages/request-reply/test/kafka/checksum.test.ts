import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c } from '@platformatic/kafka'
import { checksum } from '../../src/transport/kafka/protocol/checksum.ts'

test('the checksum is CRC-32C: the values of RFC 3720, appendix B.4', () => {
  assert.equal(checksum(Buffer.from('123456789')), 0xe3069283)
  assert.equal(checksum(Buffer.alloc(32)), 0x8a9136aa)
  assert.equal(checksum(Buffer.alloc(32, 0xff)), 0x62a8ab43)
  assert.equal(checksum(Buffer.from(Array.from({ length: 32 }, (_, at) => at))), 0x46dd794e)
  assert.equal(checksum(Buffer.alloc(0)), 0)
})

test('of every length, wherever the bytes lie, as another implementation has it', () => {
  const bytes = Buffer.from(Array.from({ length: 400_000 }, (_, at) => (at * 31 + (at >> 8)) & 0xff))
  const lengths = [
    ...Array.from({ length: 300 }, (_, length) => length),
    4_096,
    100_000,
    114_688,
    114_689,
    399_990,
  ]
  for (const length of lengths) {
    const some = bytes.subarray(length % 7, (length % 7) + length)
    assert.equal(checksum(some), crc32c(some) >>> 0, `${length} bytes`)
  }
})
