import assert from 'node:assert/strict'
import { describe, mock, test } from 'node:test'
import type { ReadPartition } from '../../src/transport/kafka/reading/broker-fetcher.ts'
import type { Metadata } from '../../src/transport/kafka/cluster/metadata.ts'
import { PartitionLeaders } from '../../src/transport/kafka/reading/partition-leaders.ts'
import { NO_TOPIC_ID } from '../../src/transport/kafka/protocol/primitive-types.ts'
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

/** A partition that is read up to 7, and what is told of its topic, answer by answer. */
function follow(...ids: readonly string[]): { one: ReadPartition; positions: number[]; leaders: number[] } {
  let id = ''
  const metadata = {
    topic: () => ({ id, partitions: [{}], errorCode: 0, missing: false }),
    leader: () => ({ node: { id: 1 }, epoch: 0 }),
  } as unknown as Metadata
  const one = {
    topic: 't',
    partition: 0,
    topicId: NO_TOPIC_ID,
    leader: -1,
    position: 0,
    resets: 0,
  } as ReadPartition
  const leaders = new PartitionLeaders(
    metadata,
    new ReadingTroubles(new Set([one]), nothing, nothing),
    nothing,
  )
  const seen = { one, positions: [] as number[], leaders: [] as number[] }
  for (id of ids) {
    leaders.find(one)
    seen.leaders.push(one.leader)
    seen.positions.push(one.position)
    if (one.leader === 1) one.position = 7
  }
  return seen
}

describe('a topic', () => {
  test('that is made anew is read from its first record, and an answer that still names the old one is not followed', () => {
    const { one, positions, leaders } = follow('old', 'new', 'old', 'new')
    assert.deepEqual(positions, [0, 0, 7, 7])
    assert.deepEqual(leaders, [1, 1, -1, 1])
    assert.deepEqual([one.resets > 0, one.topicId], [true, 'new'])
  })

  test('that gets an id while the cluster is upgraded is the same one, and so is one that a broker tells without', () => {
    const { positions, leaders, one } = follow(NO_TOPIC_ID, 'id', NO_TOPIC_ID, 'id')
    assert.deepEqual(positions, [0, 7, 7, 7])
    assert.deepEqual(leaders, [1, 1, 1, 1])
    assert.equal(one.topicId, 'id')
  })
})

test('a partition that is not there is a trouble once several answers say so: one broker may lag behind', (t) => {
  let [now, partitions] = [1_000, [{}]]
  t.mock.method(performance, 'now', () => now)
  const metadata = {
    topic: () => ({ id: 'id', partitions, errorCode: 0, missing: false }),
    leader: () => ({ node: { id: 1 }, epoch: 0 }),
  } as unknown as Metadata
  const one = { topic: 't', partition: 1, topicId: 'id', leader: -1 } as ReadPartition
  const tell = mock.fn()
  const leaders = new PartitionLeaders(metadata, new ReadingTroubles(new Set([one]), nothing, tell), nothing)
  const looks = (count: number): number => {
    for (let look = 0; look < count; look++, now += 200) leaders.find(one)
    return tell.mock.callCount()
  }
  assert.equal(looks(2), 0)
  partitions = [{}, {}]
  assert.equal(looks(1), 0)
  assert.equal(one.leader, 1)
  partitions = [{}]
  assert.equal(looks(2), 0)
  assert.equal(looks(1), 1)
  assert.equal(one.trouble?.kind, 'partition-missing')
})
