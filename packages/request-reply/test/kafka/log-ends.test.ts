import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { FetchedPartition } from '../../src/transport/kafka/fetch-api.ts'
import type { ReadPartition } from '../../src/transport/kafka/fetch-loop.ts'
import { LogEnds } from '../../src/transport/kafka/log-ends.ts'
import type { OffsetsSource } from '../../src/transport/kafka/offsets.ts'

const source = { signal: new AbortController().signal } as OffsetsSource

/** When everything was read, by what a fetch that was sent at 5 has answered. */
function emptyAt(one: Partial<ReadPartition>, answer: Partial<FetchedPartition>): number | undefined {
  const partition = { position: 10, epoch: 2, certainTerm: 2, emptyAt: undefined, ...one } as ReadPartition
  new LogEnds(source, new Set([partition])).answered(
    partition,
    { highWatermark: 10, lastStable: 10, ...answer } as FetchedPartition,
    5,
  )
  return partition.emptyAt
}

describe('that everything was read', () => {
  test('is known from when the fetch was sent that was answered up to the end', () => {
    assert.equal(emptyAt({}, {}), 5)
    // Records may come between the end that an answer names and what it brings.
    assert.equal(emptyAt({ position: 12 }, {}), 5)
  })

  test('is not known while there is more', () => {
    assert.equal(emptyAt({ position: 9 }, {}), undefined)
  })

  test('is not known while a transaction is open: behind it, records stand that nobody gets yet', () => {
    assert.equal(emptyAt({ position: 7 }, { lastStable: 7, highWatermark: 10 }), undefined)
    assert.equal(emptyAt({ position: 10 }, { lastStable: 7, highWatermark: 10 }), undefined)
  })

  test('is not known from a leader that has not said in this term where the log ends', () => {
    assert.equal(emptyAt({ certainTerm: undefined }, {}), undefined)
    assert.equal(emptyAt({ certainTerm: 1 }, {}), undefined)
  })
})

test('an end that moved on is not taken back by what is not known', () => {
  assert.equal(emptyAt({ emptyAt: 3, position: 9 }, {}), 3)
})
