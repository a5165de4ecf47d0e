import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GroupCoordinator } from '../src/groups/coordinator.ts'
import type { GroupOptions } from '../src/groups/options.ts'
import { errorCodes } from '../src/wire/error-codes.ts'
import {
  delay,
  formGroup,
  HandClock,
  identity,
  joinRequest,
  makeCoordinator,
  subscription,
} from './support/groups.ts'

const day = 86_400_000
const offset = { topic: 't', partition: 0, offset: 1, leaderEpoch: -1, metadata: '' }
const simple = { memberId: '', instanceId: null, generation: -1 }

function commit(groups: GroupCoordinator, groupId: string, changes: object = {}): number | undefined {
  return groups.commitOffsets({ groupId, ...simple }, [{ ...offset, ...changes }])[0]?.error
}

function committed(groups: GroupCoordinator, groupId: string, partition = 0): number | undefined {
  return groups.fetchOffsets(groupId, [{ topic: 't', partition }]).offsets[0]?.offset
}

test('offsets of a group without members expire, each by its commit, and with the last one the group goes', () => {
  const { groups, clock } = makeCoordinator()
  commit(groups, 'simple')
  clock.advance(4 * day)
  commit(groups, 'simple', { partition: 1 })
  clock.advance(3 * day - 1000)
  assert.deepEqual([committed(groups, 'simple'), committed(groups, 'simple', 1)], [1, 1])
  clock.advance(600_000)
  assert.deepEqual([committed(groups, 'simple'), committed(groups, 'simple', 1)], [-1, 1])
  clock.advance(4 * day)
  assert.deepEqual(groups.list(), [])
})

test('offsets of a group that had members expire from when the last one went, however old their commits are', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader] = await formGroup(groups, clock, {})
  groups.commitOffsets(identity(leader), [offset])
  for (let beat = 0; beat < 10; beat += 1) {
    // A member that lives for ten days keeps them.
    for (let hour = 0; hour < 24; hour += 1) {
      groups.heartbeat(identity(leader))
      clock.advance(5000)
    }
    groups.heartbeat(identity(leader))
  }
  groups.leave('g', [{ memberId: leader.memberId, instanceId: null }])
  clock.advance(7 * day - 600_000)
  assert.equal(committed(groups, 'g'), 1)
  clock.advance(1_200_000)
  assert.equal(committed(groups, 'g'), -1)
})

test('a stable group keeps the offsets of what it reads, and loses those of what it does not read any more', async () => {
  const groups = { offsetsRetentionMs: 1000, emptyGroupCheckMs: 500 }
  const clock = new HandClock()
  const coordinator = new GroupCoordinator({ hasPartition: () => true, options: groups, clock })
  const [leader] = await formGroup(coordinator, clock, {
    protocols: [{ name: 'range', metadata: subscription('read') }],
  })
  const offsets = [
    { ...offset, topic: 'read' },
    { ...offset, topic: 'former' },
  ]
  coordinator.commitOffsets(identity(leader), offsets)
  clock.advance(2000)
  const left = coordinator.fetchOffsets('g', null).offsets.map(({ topic }) => topic)
  assert.deepEqual(left, ['read'])
})

test('beyond maxGroups the group without members that was unused for the longest gives way', async () => {
  const evicted: string[] = []
  const clock = new HandClock()
  const options: GroupOptions = { maxGroups: 3 }
  const groups = new GroupCoordinator({
    hasPartition: () => true,
    options,
    clock,
    onEvicted: (groupId) => evicted.push(groupId),
  })
  await formGroup(groups, clock, { sessionTimeoutMs: 1_800_000 })
  commit(groups, 'first')
  commit(groups, 'second')
  // Within a minute nobody gives way.
  assert.equal(commit(groups, 'third'), errorCodes.INVALID_COMMIT_OFFSET_SIZE)
  clock.advance(61_000)
  // Who asks for its offsets uses them.
  assert.equal(committed(groups, 'second'), 1)
  clock.advance(61_000)
  assert.equal(commit(groups, 'third'), errorCodes.NONE)
  assert.deepEqual(evicted, ['first'])
  const names = groups.list().map(({ groupId }) => groupId)
  assert.deepEqual(names.toSorted(), ['g', 'second', 'third'])
})

test('ten thousand groups that were left behind keep nobody out', async () => {
  const { groups, clock } = makeCoordinator()
  for (let made = 0; made < 10_000; made += 1) assert.equal(commit(groups, `left-${made}`), errorCodes.NONE)
  clock.advance(61_000)
  for (let made = 0; made < 10; made += 1) assert.equal(commit(groups, `new-${made}`), errorCodes.NONE)
  const joining = groups.join(joinRequest({ groupId: 'joined' }))
  clock.advance(delay * 2)
  assert.equal((await joining).error, errorCodes.NONE)
  assert.equal(groups.list().length, 10_000)
})

test('when memory is full, groups without members give way before anybody is refused', () => {
  const { groups, clock } = makeCoordinator({ maxBytes: 100_000 })
  const metadata = 'm'.repeat(4000)
  for (let made = 0; made < 8; made += 1) assert.equal(commit(groups, `left-${made}`, { metadata }), 0)
  clock.advance(61_000)
  for (let made = 0; made < 8; made += 1) assert.equal(commit(groups, `new-${made}`, { metadata }), 0)
  assert.ok(groups.bytes <= 100_000)
})

test('one group takes a quarter of the memory at most, so that there is room for others', () => {
  const { groups } = makeCoordinator({ maxBytes: 400_000, maxOffsetMetadataBytes: 30_000 })
  const metadata = 'm'.repeat(20_000)
  const partitions = [0, 1, 2].map((partition) => commit(groups, 'large', { partition, metadata }))
  assert.deepEqual(partitions, [errorCodes.NONE, errorCodes.NONE, errorCodes.INVALID_COMMIT_OFFSET_SIZE])
  assert.equal(commit(groups, 'other', { metadata }), errorCodes.NONE)
})

test('a member that knows more than a hundred protocols is refused', async () => {
  const { groups } = makeCoordinator()
  const protocols = Array.from({ length: 101 }, (_, index) => ({
    name: `p${index}`,
    metadata: Buffer.alloc(0),
  }))
  const { error } = await groups.join(joinRequest({ protocols }))
  assert.equal(error, errorCodes.INCONSISTENT_GROUP_PROTOCOL)
})
