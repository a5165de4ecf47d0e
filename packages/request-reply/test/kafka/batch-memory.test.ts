import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BatchMemory } from '../../src/transport/kafka/sending/batch-memory.ts'

const KIB = 1024

describe("batches' memory", () => {
  test('that was given back is used again, also for less', () => {
    const memory = new BatchMemory()
    const first = memory.take(64 * KIB)
    memory.giveBack(first.subarray(0, 50 * KIB))
    assert.equal(memory.take(20 * KIB).buffer, first.buffer)
    assert.notEqual(memory.take(20 * KIB).buffer, first.buffer)
  })

  test('that is in use is nobody else’s', () => {
    const memory = new BatchMemory()
    const taken = [memory.take(20 * KIB), memory.take(20 * KIB), memory.take(100), memory.take(100)]
    for (const one of taken) memory.giveBack(one)
    const again = [memory.take(20 * KIB), memory.take(20 * KIB), memory.take(20 * KIB)]
    assert.equal(new Set(again.map((one) => one.buffer)).size, 3)
    assert.ok(again.every((one) => one.length >= 20 * KIB && one.byteOffset === 0))
  })

  test('is as much as asked for, when only less was given back', () => {
    const memory = new BatchMemory()
    memory.giveBack(memory.take(64 * KIB))
    assert.ok(memory.take(65 * KIB).length >= 65 * KIB)
  })

  test('of a batch serves one that is a little larger', () => {
    const memory = new BatchMemory()
    const first = memory.take(50_000)
    memory.giveBack(first.subarray(0, 50_000))
    assert.equal(memory.take(50_100).buffer, first.buffer)
  })

  test('is kept up to 4 MiB, the newest of it', () => {
    const memory = new BatchMemory()
    const taken = Array.from({ length: 5 }, () => memory.take(1024 * KIB))
    for (const one of taken) memory.giveBack(one)
    const kept = new Set(Array.from({ length: 5 }, () => memory.take(1024 * KIB).buffer))
    assert.deepEqual(
      taken.map((one) => kept.has(one.buffer)),
      [false, true, true, true, true],
    )
    memory.giveBack(memory.take(5 * 1024 * KIB))
    assert.ok(memory.take(1024 * KIB).length < 5 * 1024 * KIB)
  })
})
