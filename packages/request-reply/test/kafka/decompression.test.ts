import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { compressionsAlgorithms } from '@platformatic/kafka'
import { decompress } from '../../src/transport/kafka/batches/decompression.ts'
import { TooLarge } from '../../src/transport/kafka/batches/unpacked.ts'

const codecs: Readonly<Record<string, [number, (data: Buffer) => Buffer]>> = {
  gzip: [1, (data) => gzipSync(data)],
  snappy: [2, (data) => Buffer.from(compressionsAlgorithms.snappy.compressSync(data))],
  'snappy in frames': [2, inFrames],
  lz4: [3, (data) => Buffer.from(compressionsAlgorithms.lz4.compressSync(data))],
  zstd: [4, (data) => zstdCompressSync(data)],
  'gzip in members': [1, (data) => inTwo(data, gzipSync)],
  'zstd in frames': [4, (data) => inTwo(data, zstdCompressSync)],
}

/** Each half by itself. */
function inTwo(data: Buffer, pack: (data: Buffer) => Buffer): Buffer {
  const half = data.length >> 1
  return Buffer.concat([pack(data.subarray(0, half)), pack(data.subarray(half))])
}

/** As snappy-java frames it: blocks of 32 KiB, each with its length before it. */
function inFrames(data: Buffer): Buffer {
  const parts = [Buffer.from('82534e41505059000000000100000001', 'hex')]
  for (let at = 0; at < data.length; at += 32_768) {
    const block = Buffer.from(compressionsAlgorithms.snappy.compressSync(data.subarray(at, at + 32_768)))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

/** Patterns of every period, runs, and what does not compress. */
function samples(): Buffer[] {
  let state = 1
  const random = (): number => (state = (state * 48_271) % 2_147_483_647)
  const noise = Buffer.from(Array.from({ length: 50_000 }, () => random() & 0xff))
  const words = Buffer.from(Array.from({ length: 9_000 }, () => `word${random() % 50} `).join(''))
  const periods = [1, 2, 3, 5, 40, 70].map((period) => Buffer.alloc(100_000, noise.subarray(0, period)))
  return [Buffer.alloc(0), Buffer.from('x'), noise, words, Buffer.concat([words, noise, words]), ...periods]
}

for (const [name, [compression, pack]] of Object.entries(codecs)) {
  describe(name, () => {
    test('is unpacked as it was, up to a bound and not beyond', () => {
      for (const sample of samples()) {
        const packed = pack(sample)
        const limit = Math.max(1, sample.length)
        assert.ok(decompress(compression, packed, limit).equals(sample))
        if (sample.length > 1) {
          assert.throws(() => decompress(compression, packed, sample.length - 1), TooLarge)
          assert.throws(() => decompress(compression, packed, 1), TooLarge)
        }
      }
    })

    test('that is cut off or altered gives an error, or no more than the bound', () => {
      const packed = pack(samples()[4]!.subarray(0, 3_000))
      for (let at = 0; at < packed.length; at++) {
        const altered = Buffer.from(packed)
        altered[at] = altered[at]! ^ 0x91
        for (const data of [altered, packed.subarray(0, at)]) {
          try {
            assert.ok(decompress(compression, data, 4_000).length <= 4_000)
          } catch (error) {
            assert.ok(
              error instanceof Error && !(error instanceof RangeError && error.message.includes('offset')),
            )
          }
        }
      }
    })

    test('takes no memory for what it only announces', () => {
      const before = process.memoryUsage().arrayBuffers
      const packed = pack(Buffer.alloc(64 * 1024 * 1024))
      assert.throws(() => decompress(compression, packed, 100_000), TooLarge)
      assert.ok(process.memoryUsage().arrayBuffers - before < 200 * 1024 * 1024)
    })
  })
}

test('a Snappy block that says it becomes more than it can is refused before any memory is taken', () => {
  const lying = Buffer.from([0xff, 0xff, 0xff, 0x1f, 0x00, 0x41]) // 64 MiB, and one byte
  assert.throws(() => decompress(2, lying, 2 ** 30), /cannot become/)
})

test('zstd passes over what a frame says is to be passed over, and takes no end of frames', () => {
  const skippable = Buffer.from('502a4d180300000061626300', 'hex').subarray(0, 11)
  const data = Buffer.from('data')
  assert.deepEqual(decompress(4, Buffer.concat([skippable, zstdCompressSync(data), skippable]), 4), data)
  const empty = skippable.subarray(0, 8)
  empty[4] = 0
  assert.throws(() => decompress(4, Buffer.concat(Array<Buffer>(2_000).fill(empty)), 4), /1000 frames/)
  assert.throws(() => decompress(4, Buffer.concat([zstdCompressSync(data), data]), 100))
})

test('a compression that nobody knows is an error', () => {
  for (const compression of [5, 6, 7]) {
    assert.throws(() => decompress(compression, Buffer.alloc(10), 100), /not known/)
  }
})
