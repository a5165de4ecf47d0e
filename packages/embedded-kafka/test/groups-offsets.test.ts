import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MemberIdentity, OffsetToCommit } from '../src/groups/types.ts'
import { errorCodes } from '../src/wire/error-codes.ts'
import {
  delay,
  formGroup,
  identity,
  joinRequest,
  makeCoordinator,
  subscription,
  sync,
} from './support/groups.ts'

const simple: MemberIdentity = { groupId: 'g', memberId: '', instanceId: null, generation: -1 }

function commit(partition: number, offset: number, changes: Partial<OffsetToCommit> = {}): OffsetToCommit {
  return { topic: 't', partition, offset, leaderEpoch: 3, metadata: 'why', ...changes }
}

test('a simple consumer commits without joining, and reads back offset, epoch and metadata', () => {
  const { groups } = makeCoordinator()
  const outcomes = groups.commitOffsets(simple, [commit(0, 5), commit(1, 7)])
  assert.deepEqual(
    outcomes.map(({ partition, error }) => [partition, error]),
    [
      [0, 0],
      [1, 0],
    ],
  )
  groups.commitOffsets(simple, [commit(0, 6)])
  const wanted = [0, 1, 2].map((partition) => ({ topic: 't', partition }))
  assert.deepEqual(groups.fetchOffsets('g', wanted), {
    error: 0,
    offsets: [
      { topic: 't', partition: 0, offset: 6, leaderEpoch: 3, metadata: 'why' },
      { topic: 't', partition: 1, offset: 7, leaderEpoch: 3, metadata: 'why' },
      { topic: 't', partition: 2, offset: -1, leaderEpoch: -1, metadata: '' },
    ],
  })
  const { state, protocolType } = groups.describe('g')
  assert.deepEqual([state, protocolType], ['Empty', ''])
})

test('all offsets of a group are its committed ones; an unknown group has none', () => {
  const { groups } = makeCoordinator()
  groups.commitOffsets(simple, [commit(2, 5), commit(0, 0)])
  const all = groups.fetchOffsets('g', null).offsets
  assert.deepEqual(
    new Map(all.map(({ partition, offset }) => [partition, offset])),
    new Map([
      [0, 0],
      [2, 5],
    ]),
  )
  assert.deepEqual(groups.fetchOffsets('nobody', null), { error: 0, offsets: [] })
  assert.equal(groups.fetchOffsets('nobody', [{ topic: 't', partition: 0 }]).offsets[0]?.offset, -1)
  assert.deepEqual(
    groups.list().map(({ groupId }) => groupId),
    ['g'],
  )
})

test('a commit is refused where it belongs to nobody: wrong generation, member, or a group that has members', async () => {
  const { groups, clock } = makeCoordinator()
  const error = (identity: MemberIdentity) => groups.commitOffsets(identity, [commit(0, 1)])[0]?.error
  assert.equal(error({ ...simple, generation: 3 }), errorCodes.ILLEGAL_GENERATION)
  assert.deepEqual(groups.list(), [])
  const [leader] = await formGroup(groups, clock, {})
  const member = identity(leader)
  assert.equal(error(member), 0)
  assert.equal(error({ ...member, generation: 0 }), errorCodes.ILLEGAL_GENERATION)
  assert.equal(error({ ...member, generation: -1 }), errorCodes.ILLEGAL_GENERATION)
  assert.equal(error({ ...member, memberId: 'x' }), errorCodes.UNKNOWN_MEMBER_ID)
  assert.equal(error(simple), errorCodes.UNKNOWN_MEMBER_ID)
  groups.leave('g', [{ memberId: leader.memberId, instanceId: null }])
  assert.equal(error(member), errorCodes.UNKNOWN_MEMBER_ID)
  assert.equal(error(simple), 0)
})

test('a member commits while a rebalance is prepared, but not before it knows its new work', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader] = await formGroup(groups, clock, {})
  const joining = groups.join(joinRequest())
  assert.equal(groups.commitOffsets(identity(leader), [commit(0, 1)])[0]?.error, 0)
  const again = await groups.join(joinRequest({ memberId: leader.memberId }))
  const early = groups.commitOffsets(identity(again), [commit(0, 2)])
  assert.equal(early[0]?.error, errorCodes.REBALANCE_IN_PROGRESS)
  const late = groups.commitOffsets(identity(leader), [commit(0, 2)])
  assert.equal(late[0]?.error, errorCodes.ILLEGAL_GENERATION)
  await sync(groups, again)
  assert.equal(groups.commitOffsets(identity(again), [commit(0, 2)])[0]?.error, 0)
  assert.equal((await joining).generation, 2)
})

test('offsets of unknown topics and partitions, too much metadata and inexact offsets are refused one by one', () => {
  const { groups } = makeCoordinator({ maxOffsetMetadataBytes: 4 })
  const outcomes = groups.commitOffsets(simple, [
    commit(0, 1),
    commit(3, 1),
    commit(0, 1, { topic: 'x' }),
    commit(1, 1, { metadata: 'ééééé' }),
    commit(1, 2 ** 60),
    commit(2, 1, { metadata: 'éééé' }),
  ])
  assert.deepEqual(
    outcomes.map(({ error }) => error),
    [
      0,
      errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
      errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
      errorCodes.OFFSET_METADATA_TOO_LARGE,
      errorCodes.INVALID_COMMIT_OFFSET_SIZE,
      0,
    ],
  )
  assert.equal(groups.commitOffsets({ ...simple, groupId: 'h' }, [commit(9, 1)])[0]?.error, 3)
  assert.deepEqual(
    groups.list().map(({ groupId }) => groupId),
    ['g'],
  )
})

test('the offsets of a deleted topic vanish', () => {
  const { groups } = makeCoordinator()
  const before = groups.bytes
  groups.commitOffsets(simple, [commit(0, 5), commit(1, 7)])
  const withOffsets = groups.bytes
  groups.topicDeleted('t')
  assert.deepEqual(groups.fetchOffsets('g', null).offsets, [])
  assert.ok(groups.bytes < withOffsets)
  assert.equal(groups.delete('g'), 0)
  assert.equal(groups.bytes, before)
})

test('offsets are deleted, but not of topics that a member reads', async () => {
  const { groups, clock } = makeCoordinator()
  const one = [{ topic: 't', partition: 0 }]
  assert.equal(groups.deleteOffsets('g', one).error, errorCodes.GROUP_ID_NOT_FOUND)
  groups.commitOffsets(simple, [commit(0, 5), commit(1, 7)])
  const [leader] = await formGroup(groups, clock, {})
  const subscribed = groups.deleteOffsets('g', one)
  assert.equal(subscribed.partitions[0]?.error, errorCodes.GROUP_SUBSCRIBED_TO_TOPIC)
  const protocols = [{ name: 'range', metadata: subscription('other') }]
  const again = await groups.join(joinRequest({ memberId: leader.memberId, protocols }))
  const deleted = groups.deleteOffsets('g', [...one, { topic: 'x', partition: 0 }])
  assert.deepEqual(
    deleted.partitions.map(({ error }) => error),
    [0, errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
  )
  assert.deepEqual(
    groups.fetchOffsets('g', null).offsets.map(({ partition }) => partition),
    [1],
  )
  groups.leave('g', [{ memberId: again.memberId, instanceId: null }])
  assert.equal(groups.deleteOffsets('g', [{ topic: 't', partition: 1 }]).partitions[0]?.error, 0)
  assert.deepEqual(groups.fetchOffsets('g', null).offsets, [])
})

test('while members that are no consumers are there, or consumers that cannot be understood, no offset is deleted', async () => {
  const { groups, clock } = makeCoordinator()
  const one = [{ topic: 't', partition: 0 }]
  await formGroup(groups, clock, { protocolType: 'connect' })
  assert.equal(groups.deleteOffsets('g', one).error, errorCodes.NON_EMPTY_GROUP)
  const garbled = [
    Buffer.alloc(0),
    Buffer.from([0, 0, 0, 0, 0, 9, 0, 1]),
    Buffer.from([0, 0, 0, 0, 0, 1, 0xff, 0xff]),
  ]
  for (const [index, metadata] of garbled.entries()) {
    const groupId = `garbled-${index}`
    const joining = groups.join(joinRequest({ groupId, protocols: [{ name: 'range', metadata }] }))
    clock.advance(delay)
    assert.equal((await joining).error, 0)
    const { partitions } = groups.deleteOffsets(groupId, one)
    assert.equal(partitions[0]?.error, errorCodes.GROUP_SUBSCRIBED_TO_TOPIC)
  }
})
