import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { partitionForKey } from '../src/transport/partitioner.ts'

// Known hashes: UtilsTest.testMurmur2 of Apache Kafka.
const known: readonly (readonly [string, number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
]

describe('partition of a key', () => {
  it('is what the Java client chooses', () => {
    for (const [key, hash] of known)
      for (const partitions of [1, 2, 3, 6, 12, 100, 2 ** 31 - 1])
        assert.equal(partitionForKey(Buffer.from(key), partitions), (hash & 0x7fffffff) % partitions, key)
  })

  it('is the same for a view into a larger buffer, at any alignment', () => {
    for (const [key] of known)
      for (let offset = 0; offset < 4; offset++) {
        const pool = Buffer.alloc(100, 0xff)
        const length = pool.write(key, offset)
        assert.equal(
          partitionForKey(pool.subarray(offset, offset + length), 1000),
          partitionForKey(Buffer.from(key), 1000),
        )
      }
  })

  it('is in range for every length of key, the empty one and bytes above 127 included', () => {
    for (let length = 0; length <= 17; length++)
      for (const partitions of [1, 5, 7]) {
        const partition = partitionForKey(Buffer.alloc(length, 0xfe), partitions)
        assert.ok(Number.isInteger(partition) && partition >= 0 && partition < partitions)
      }
  })

  it('spreads keys over all partitions', () => {
    const counts = Array.from({ length: 8 }, () => 0)
    for (let i = 0; i < 8000; i++) counts[partitionForKey(Buffer.from(`order-${i}`), 8)]!++
    for (const count of counts) assert.ok(count > 800 && count < 1200, counts.join(' '))
  })
})
