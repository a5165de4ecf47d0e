import assert from 'node:assert/strict'
import { test } from 'node:test'
import { completeGroupOptions } from '../src/groups/options.ts'
import type { JoinRequest } from '../src/groups/types.ts'
import { errorCodes } from '../src/wire/error-codes.ts'
import {
  delay,
  formGroup,
  identity,
  isParked,
  joinRequest,
  makeCoordinator,
  session,
  subscription,
  sync,
} from './support/groups.ts'

const offset = { topic: 't', partition: 0, offset: 1, leaderEpoch: -1, metadata: '' }
const simple = { memberId: '', instanceId: null, generation: -1 }

test('groups are listed and described with their state; members show metadata and work only when stable', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader, follower] = await formGroup(groups, clock, {}, { instanceId: 'b' })
  groups.commitOffsets({ groupId: 'simple', ...simple }, [offset])
  assert.deepEqual(groups.list(), [
    { groupId: 'g', protocolType: 'consumer', state: 'Stable' },
    { groupId: 'simple', protocolType: '', state: 'Empty' },
  ])
  const described = groups.describe('g')
  assert.deepEqual(
    [described.state, described.protocolType, described.protocol],
    ['Stable', 'consumer', 'range'],
  )
  const common = { clientId: 'client', clientHost: '/127.0.0.1', metadata: subscription('t') }
  assert.deepEqual(described.members, [
    { memberId: leader.memberId, instanceId: null, ...common, assignment: Buffer.from('work 0') },
    { memberId: follower?.memberId, instanceId: 'b', ...common, assignment: Buffer.from('work 1') },
  ])
  const rejoining = groups.join(joinRequest({ memberId: leader.memberId }))
  const during = groups.describe('g')
  assert.deepEqual([during.state, during.protocol], ['PreparingRebalance', ''])
  for (const { metadata, assignment } of during.members) assert.equal(metadata.length + assignment.length, 0)
  assert.ok(await isParked(rejoining))
  const { error, state } = groups.describe('nobody')
  assert.deepEqual([error, state], [0, 'Dead'])
})

test('what a group keeps is a copy: the bytes of a request may be used again', async () => {
  const { groups, clock } = makeCoordinator()
  const metadata = subscription('t')
  const joining = groups.join(joinRequest({ protocols: [{ name: 'range', metadata }] }))
  metadata.fill(0)
  clock.advance(delay)
  const leader = await joining
  assert.deepEqual(leader.members[0]?.metadata, subscription('t'))
  const assignment = Buffer.from('work')
  const assignments = [{ memberId: leader.memberId, assignment }]
  await groups.sync({ ...identity(leader), protocolType: null, protocol: null, assignments })
  assignment.fill(0)
  assert.equal(groups.describe('g').members[0]?.assignment.toString(), 'work')
})

test('a group is deleted only without members, and its offsets with it', async () => {
  const { groups, clock } = makeCoordinator()
  assert.equal(groups.delete('g'), errorCodes.GROUP_ID_NOT_FOUND)
  const [leader] = await formGroup(groups, clock, {})
  groups.commitOffsets(identity(leader), [offset])
  assert.equal(groups.delete('g'), errorCodes.NON_EMPTY_GROUP)
  groups.leave('g', [{ memberId: leader.memberId, instanceId: null }])
  assert.equal(groups.delete('g'), 0)
  assert.deepEqual(groups.fetchOffsets('g', null).offsets, [])
  assert.deepEqual([groups.list(), groups.bytes, clock.timers], [[], 0, 0])
})

test('a group without a name and a session timeout out of bounds are refused', async () => {
  const { groups } = makeCoordinator({ minSessionTimeoutMs: 100, maxSessionTimeoutMs: 200 })
  const error = async (changes: object) => (await groups.join(joinRequest(changes))).error
  assert.equal(await error({ groupId: '', sessionTimeoutMs: 150 }), errorCodes.INVALID_GROUP_ID)
  assert.equal(await error({ sessionTimeoutMs: 99 }), errorCodes.INVALID_SESSION_TIMEOUT)
  assert.equal(await error({ sessionTimeoutMs: 201 }), errorCodes.INVALID_SESSION_TIMEOUT)
  assert.equal(groups.leave('', []).error, errorCodes.INVALID_GROUP_ID)
  assert.equal(groups.leave('nobody', []).error, errorCodes.UNKNOWN_MEMBER_ID)
  assert.deepEqual(groups.list(), [])
})

test('settings that cannot be are all told at once', () => {
  const wrong = { maxGroups: 0, maxBytes: 1.5, minSessionTimeoutMs: 10, maxSessionTimeoutMs: 5 }
  assert.throws(
    () => completeGroupOptions(wrong),
    /maxGroups .*maxBytes .*minSessionTimeoutMs must not be above/,
  )
  assert.throws(() => completeGroupOptions({ nothing: 1 } as object), /nothing is not a setting/)
  assert.equal(completeGroupOptions({ initialRebalanceDelayMs: 0 }).initialRebalanceDelayMs, 0)
})

test('a group takes so many members and no more, static ones that come back excepted', async () => {
  const { groups, clock } = makeCoordinator({ maxGroupSize: 2 })
  const [leader] = await formGroup(groups, clock, {}, { instanceId: 'b' })
  assert.equal((await groups.join(joinRequest())).error, errorCodes.GROUP_MAX_SIZE_REACHED)
  assert.equal((await groups.join(joinRequest({ instanceId: 'b' }))).error, 0)
  const again = groups.join(joinRequest({ memberId: leader.memberId }))
  assert.ok(await isParked(again))
})

test('ids are not handed out without end', async () => {
  const { groups, clock } = makeCoordinator({ maxGroupSize: 2 })
  const ask = async () => (await groups.join(joinRequest({ requireMemberId: true }))).error
  const { MEMBER_ID_REQUIRED, GROUP_MAX_SIZE_REACHED } = errorCodes
  assert.deepEqual(
    [await ask(), await ask(), await ask()],
    [MEMBER_ID_REQUIRED, MEMBER_ID_REQUIRED, GROUP_MAX_SIZE_REACHED],
  )
  clock.advance(session)
  assert.equal(await ask(), MEMBER_ID_REQUIRED)
})

test('a member with a client id as long as the protocol allows gets an id that fits into it too', async () => {
  const { groups } = makeCoordinator()
  const clientId = 'c'.repeat(32_767)
  const { memberId } = await groups.join(joinRequest({ clientId, requireMemberId: true }))
  assert.ok(memberId.length < 300)
})

test('beyond the largest number of groups new ones are refused, unless one is there that nobody needs', async () => {
  const { groups, clock } = makeCoordinator({ maxGroups: 2 })
  const commitIn = (groupId: string) => groups.commitOffsets({ groupId, ...simple }, [offset])[0]?.error
  assert.equal(commitIn('a'), 0)
  const [leader] = await formGroup(groups, clock, {})
  assert.equal(commitIn('c'), errorCodes.INVALID_COMMIT_OFFSET_SIZE)
  assert.equal((await groups.join(joinRequest({ groupId: 'c' }))).error, errorCodes.GROUP_MAX_SIZE_REACHED)
  groups.leave('g', [{ memberId: leader.memberId, instanceId: null }])
  assert.equal(commitIn('c'), 0)
  assert.deepEqual(
    groups.list().map(({ groupId }) => groupId),
    ['a', 'c'],
  )
})

function big(bytes: number): Pick<JoinRequest, 'protocols'> {
  return { protocols: [{ name: 'range', metadata: Buffer.alloc(bytes) }] }
}

test('memory has a bound: what exceeds it is refused, what goes gives room again, and nothing is counted twice', async () => {
  const { groups, clock } = makeCoordinator({ maxBytes: 10_000 })
  const error = async (changes: object) => (await groups.join(joinRequest(changes))).error
  assert.equal(await error({ groupId: 'x', ...big(10_000) }), errorCodes.GROUP_MAX_SIZE_REACHED)
  assert.equal(groups.bytes, 0)
  const [leader] = await formGroup(groups, clock, big(6000))
  assert.equal(await error(big(6000)), errorCodes.GROUP_MAX_SIZE_REACHED)
  const known = { memberId: leader.memberId }
  assert.equal(await error({ ...known, ...big(9500) }), errorCodes.GROUP_MAX_SIZE_REACHED)
  const metadata = 'm'.repeat(2000)
  const commit = () => groups.commitOffsets(identity(leader), [{ ...offset, metadata }])[0]?.error
  assert.equal(commit(), errorCodes.INVALID_COMMIT_OFFSET_SIZE)
  const again = await groups.join(joinRequest({ ...known, ...big(100) }))
  const tooMuch = await sync(groups, again, { [again.memberId]: 'w'.repeat(9000) })
  assert.equal(tooMuch.error, errorCodes.UNKNOWN_SERVER_ERROR)
  const third = await groups.join(joinRequest({ ...known, ...big(100) }))
  assert.equal((await sync(groups, third, { [third.memberId]: 'w'.repeat(900) })).error, 0)
  const member = identity(third)
  for (let round = 0; round < 3; round++) {
    assert.equal(groups.commitOffsets(member, [{ ...offset, metadata }])[0]?.error, 0)
  }
  groups.leave('g', [{ memberId: third.memberId, instanceId: null }])
  assert.equal(groups.delete('g'), 0)
  assert.equal(groups.bytes, 0)
})

test('empty groups without offsets are forgotten, others stay', async () => {
  const { groups, clock } = makeCoordinator({ emptyGroupCheckMs: 1000 })
  const [leader] = await formGroup(groups, clock, {})
  groups.commitOffsets({ groupId: 'kept', ...simple }, [offset])
  await groups.join(joinRequest({ groupId: 'pending', requireMemberId: true }))
  groups.leave('g', [{ memberId: leader.memberId, instanceId: null }])
  assert.equal(groups.describe('g').state, 'Empty')
  clock.advance(1000)
  assert.deepEqual(
    groups.list().map(({ groupId }) => groupId),
    ['kept', 'pending'],
  )
  clock.advance(session + 1000)
  assert.deepEqual(
    groups.list().map(({ groupId }) => groupId),
    ['kept'],
  )
})

test('closing answers every parked request, stops every timer and gives all memory back', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader] = await formGroup(groups, clock, {}, {})
  await groups.join(joinRequest({ groupId: 'pending', requireMemberId: true }))
  const answers = [1, 2].map(() => groups.join(joinRequest({ groupId: 'completing' })))
  clock.advance(delay * 2)
  const follower = (await Promise.all(answers))[1]
  assert.ok(follower)
  const parked: Promise<{ error: number }>[] = [
    groups.join(joinRequest()),
    groups.join(joinRequest({ memberId: leader.memberId })),
    groups.join(joinRequest({ groupId: 'gathering' })),
    sync(groups, follower, {}, { groupId: 'completing' }),
  ]
  for (const answer of parked) assert.ok(await isParked(answer))
  groups.close()
  for (const { error } of await Promise.all(parked)) assert.equal(error, errorCodes.COORDINATOR_NOT_AVAILABLE)
  assert.deepEqual([clock.timers, groups.bytes, groups.list()], [0, 0, []])

  const late = groups.commitOffsets(identity(leader), [offset])
  assert.equal(late[0]?.error, errorCodes.COORDINATOR_NOT_AVAILABLE)
  assert.equal((await groups.join(joinRequest())).error, errorCodes.COORDINATOR_NOT_AVAILABLE)
  assert.equal(groups.heartbeat(identity(leader)), errorCodes.COORDINATOR_NOT_AVAILABLE)
  assert.equal(groups.fetchOffsets('g', null).error, errorCodes.COORDINATOR_NOT_AVAILABLE)
  assert.equal(groups.describe('g').error, errorCodes.COORDINATOR_NOT_AVAILABLE)
  assert.equal(groups.delete('g'), errorCodes.COORDINATOR_NOT_AVAILABLE)
})
