import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorCodes } from '../src/wire/error-codes.ts'
import {
  delay,
  formGroup,
  identity,
  isParked,
  joinRequest,
  makeCoordinator,
  rebalance,
  session,
  subscription,
  sync,
} from './support/groups.ts'

const a = { instanceId: 'a' }
const b = { instanceId: 'b' }

test('a restarted static follower keeps its assignment and starts no rebalance; its old id is fenced', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader, before] = await formGroup(groups, clock, a, b)
  assert.ok(before)
  const after = await groups.join(joinRequest({ ...b, requireMemberId: true }))
  assert.deepEqual([after.error, after.generation], [0, 1])
  assert.notEqual(after.memberId, before.memberId)
  assert.equal((await sync(groups, after, {}, b)).assignment.toString(), 'work 1')
  assert.equal(groups.heartbeat(identity(leader, a)), 0)
  assert.equal(groups.heartbeat(identity(after, b)), 0)
  assert.equal(groups.heartbeat(identity(before, b)), errorCodes.FENCED_INSTANCE_ID)
  const rejoin = await groups.join(joinRequest({ ...b, memberId: before.memberId }))
  assert.equal(rejoin.error, errorCodes.FENCED_INSTANCE_ID)
  assert.equal((await sync(groups, before, {}, b)).error, errorCodes.FENCED_INSTANCE_ID)
  const commit = { topic: 't', partition: 0, offset: 1, leaderEpoch: -1, metadata: '' }
  const [outcome] = groups.commitOffsets(identity(before, b), [commit])
  assert.equal(outcome?.error, errorCodes.FENCED_INSTANCE_ID)
  const left = groups.leave('g', [{ ...b, memberId: before.memberId }])
  assert.equal(left.members[0]?.error, errorCodes.FENCED_INSTANCE_ID)
})

test('a restarted static leader is shown its former id as the leader, so that it does not distribute again', async () => {
  const { groups, clock } = makeCoordinator()
  const [before] = await formGroup(groups, clock, a, b)
  const after = await groups.join(joinRequest(a))
  assert.deepEqual([after.generation, after.leader, after.members], [1, before.memberId, []])
  assert.equal(after.skipAssignment, false)
  assert.equal((await sync(groups, after, {}, a)).assignment.toString(), 'work 0')
})

test('a restarted static leader that knows KIP-814 leads on and skips the assignment', async () => {
  const { groups, clock } = makeCoordinator()
  await formGroup(groups, clock, a, b)
  const after = await groups.join(joinRequest({ ...a, canSkipAssignment: true }))
  assert.deepEqual([after.leader, after.skipAssignment, after.members.length], [after.memberId, true, 2])
  const follower = await groups.join(joinRequest({ ...b, canSkipAssignment: true }))
  assert.deepEqual([follower.leader, follower.skipAssignment], [after.memberId, false])
})

test('a static member that comes back with protocols that change the choice starts a rebalance', async () => {
  const { groups, clock } = makeCoordinator()
  const both = [
    { name: 'range', metadata: subscription('t') },
    { name: 'sticky', metadata: subscription('t') },
  ]
  await formGroup(groups, clock, { ...a, protocols: both })
  const after = groups.join(joinRequest({ ...a, protocols: both.toReversed() }))
  assert.deepEqual([(await after).generation, (await after).protocol], [2, 'sticky'])
})

test('a static member keeps its place through a rebalance that it misses, until its session is over', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader, away] = await formGroup(groups, clock, {}, { ...b, sessionTimeoutMs: 60_000 })
  assert.ok(away)
  const again = groups.join(joinRequest({ memberId: leader.memberId }))
  clock.advance(rebalance)
  assert.equal((await again).members.length, 2)
  assert.equal((await sync(groups, await again, { [away.memberId]: 'kept' })).error, 0)
  const back = await groups.join(joinRequest(b))
  assert.equal((await sync(groups, back, {}, b)).assignment.toString(), 'kept')
})

test('when no member of an all-static group rejoins, the rebalance goes on until their sessions are over', async () => {
  const { groups, clock } = makeCoordinator()
  const long = { sessionTimeoutMs: 100_000 }
  await formGroup(groups, clock, { ...a, ...long }, { ...b, ...long }, { rebalanceTimeoutMs: 5000 })
  clock.advance(session)
  assert.equal(groups.describe('g').state, 'PreparingRebalance')
  clock.advance(rebalance)
  assert.equal(groups.describe('g').state, 'PreparingRebalance')
  assert.equal(groups.describe('g').members.length, 2)
  clock.advance(100_000)
  assert.equal(groups.describe('g').state, 'Empty')
})

test('a second process under one instance id fences the first, also while that waits', async () => {
  const { groups, clock } = makeCoordinator()
  const first = groups.join(joinRequest(a))
  const second = groups.join(joinRequest(a))
  assert.equal((await first).error, errorCodes.FENCED_INSTANCE_ID)
  const other = groups.join(joinRequest())
  clock.advance(delay * 2)
  const joined = await second
  assert.equal(joined.members.length, 2)
  const syncing = sync(groups, await other)
  const third = groups.join(joinRequest(a))
  assert.equal((await sync(groups, joined, {}, a)).error, errorCodes.FENCED_INSTANCE_ID)
  // The leader's id changed while its distribution was awaited: everybody starts over.
  assert.equal((await syncing).error, errorCodes.REBALANCE_IN_PROGRESS)
  assert.ok(await isParked(third))
  const again = await groups.join(joinRequest({ memberId: (await other).memberId }))
  assert.deepEqual([again.generation, again.leader], [2, (await third).memberId])
})

test('an administrator removes static members by their instance ids', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader] = await formGroup(groups, clock, {}, a, b)
  const left = groups.leave('g', [
    { memberId: '', ...a },
    { memberId: '', instanceId: 'nobody' },
    { memberId: '', instanceId: null },
    { memberId: 'x', ...b },
  ])
  assert.deepEqual(
    left.members.map(({ error }) => error),
    [0, errorCodes.UNKNOWN_MEMBER_ID, errorCodes.UNKNOWN_MEMBER_ID, errorCodes.FENCED_INSTANCE_ID],
  )
  assert.equal(groups.describe('g').members.length, 2)
  assert.equal(groups.heartbeat(identity(leader)), errorCodes.REBALANCE_IN_PROGRESS)
})

test('an instance id that is not known, or not any more, is an unknown member', async () => {
  const { groups, clock } = makeCoordinator()
  const [, gone] = await formGroup(groups, clock, {}, a)
  assert.ok(gone)
  groups.leave('g', [{ memberId: gone.memberId, ...a }])
  assert.equal(groups.heartbeat(identity(gone, a)), errorCodes.UNKNOWN_MEMBER_ID)
  const back = groups.join(joinRequest({ ...a, memberId: gone.memberId }))
  assert.equal((await back).error, errorCodes.UNKNOWN_MEMBER_ID)
})

test('a static member that restarts while its work is awaited: its first life is fenced', async () => {
  const { groups, clock } = makeCoordinator()
  const answers = [groups.join(joinRequest()), groups.join(joinRequest(b))]
  clock.advance(delay * 2)
  const [, follower] = await Promise.all(answers)
  assert.ok(follower)
  const waiting = sync(groups, follower, {}, b)
  const back = groups.join(joinRequest(b))
  assert.equal((await waiting).error, errorCodes.FENCED_INSTANCE_ID)
  assert.ok(await isParked(back))
})

test('a static member that restarts before it has its work gets a full session, and no rebalance follows', async () => {
  const { groups, clock } = makeCoordinator()
  const answers = [groups.join(joinRequest()), groups.join(joinRequest(b))]
  clock.advance(delay * 2)
  const [leader, before] = await Promise.all(answers)
  assert.ok(leader && before)
  await sync(groups, leader, { [before.memberId]: 'work' })
  clock.advance(session - 1)
  assert.equal(groups.heartbeat(identity(leader)), 0)
  const after = await groups.join(joinRequest(b))
  clock.advance(session - 1)
  assert.equal(groups.heartbeat(identity(leader)), 0)
  assert.equal((await sync(groups, after, {}, b)).assignment.toString(), 'work')
  for (let passed = 0; passed < rebalance; passed += session / 2) {
    clock.advance(session / 2)
    assert.deepEqual([groups.heartbeat(identity(leader)), groups.heartbeat(identity(after, b))], [0, 0])
  }
})
