import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ReadPartition } from '../../src/transport/kafka/reading/broker-fetcher.ts'
import type { Metadata } from '../../src/transport/kafka/cluster/metadata.ts'
import { PartitionLeaders } from '../../src/transport/kafka/reading/partition-leaders.ts'
import { ReadingTroubles } from '../../src/transport/kafka/reading/reading-troubles.ts'

const nothing = (): void => undefined

/** A partition that broker 1 leads in term 4, with a fetch under way; and what metadata says of it next. */
function inFlight(leader: { readonly id: number; readonly epoch: number } | undefined): ReadPartition {
  const flight = { partitions: [], sentAt: 0 }
  const one = {
    topic: 't',
    partition: 0,
    topicId: 'id',
    leader: 1,
    epoch: 4,
    flight,
  } as unknown as ReadPartition
  const metadata = {
    topic: () => ({ id: 'id', partitions: [{}], errorCode: 0, missing: false }),
    leader: () => leader && { node: { id: leader.id }, epoch: leader.epoch },
  } as unknown as Metadata
  new PartitionLeaders(metadata, new ReadingTroubles(new Set([one]), nothing, nothing), nothing).find(one)
  return one
}

describe('a fetch under way', () => {
  test('counts as long as the same leader is in the same term', () => {
    assert.notEqual(inFlight({ id: 1, epoch: 4 }).flight, undefined)
    assert.notEqual(inFlight(undefined).flight, undefined)
  })

  test('counts no more with another leader, nor in another term: its end of the log is the former one', () => {
    assert.equal(inFlight({ id: 2, epoch: 5 }).flight, undefined)
    const { flight, epoch } = inFlight({ id: 1, epoch: 5 })
    assert.deepEqual([flight, epoch], [undefined, 5])
  })
})
