import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compressionsAlgorithms } from '@platformatic/kafka'
import { packings } from '../../src/transport/kafka/batches/compression.ts'
import { decompress } from '../../src/transport/kafka/batches/decompression.ts'

function noise(length: number, different = 256): Buffer {
  let state = length + different
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; at++) {
    state = (state * 48_271) % 2_147_483_647
    bytes[at] = (state >>> 8) % different
  }
  return bytes
}

const json = Buffer.from(
  JSON.stringify(
    Array.from({ length: 3_000 }, (_, id) => ({ id, name: `order ${id % 17}`, currency: 'EUR' })),
  ),
)
const samples: Readonly<Record<string, Buffer>> = {
  'a byte': Buffer.of(7),
  'a small record': json.subarray(0, 300),
  'what is like itself': json,
  'what is not': noise(200_000),
  'one byte again and again': Buffer.alloc(200_000, 1),
  'a block and a byte': json.subarray(0, 65_537),
  'a mixture': Buffer.concat([noise(1_000), Buffer.alloc(70_000, 7), noise(66_000), json, noise(70_000)]),
}

for (const name of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
  describe(name, () => {
    const { attribute, pack } = packings[name]
    const theirs = compressionsAlgorithms[name]
    for (const [what, bytes] of Object.entries(samples)) {
      test(`${what} is read by another codec, and by ours`, () => {
        const packed = pack(bytes)
        assert.ok(bytes.equals(Buffer.from(theirs.decompressSync(packed))))
        assert.ok(bytes.equals(decompress(attribute, packed, bytes.length)))
        // As well as another does it, but for a tenth.
        const other = theirs.compressSync(bytes).length
        assert.ok(packed.length <= other * 1.1 + 20, `${packed.length} bytes, another codec ${other}`)
      })
    }

    test('of every length, and of every kind of repetition', () => {
      for (let length = 1; length < 600; length++) {
        const bytes = noise(length, 1 + (length % 6))
        const packed = pack(bytes)
        assert.ok(bytes.equals(Buffer.from(theirs.decompressSync(packed))), `${length} bytes`)
      }
    })
  })
}
