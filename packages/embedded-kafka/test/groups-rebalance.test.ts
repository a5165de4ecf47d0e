import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JoinRequest } from '../src/groups/types.ts'
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

test('the first generation gathers those who come within the initial delay, and each newcomer extends it', async () => {
  const { groups, clock } = makeCoordinator()
  const first = groups.join(joinRequest())
  clock.advance(delay - 1)
  const second = groups.join(joinRequest())
  clock.advance(1)
  assert.ok(await isParked(first))
  clock.advance(delay - 1)
  const third = groups.join(joinRequest())
  clock.advance(1 + delay)
  const [leader, ...others] = await Promise.all([first, second, third])
  assert.equal(leader.generation, 1)
  assert.equal(leader.protocol, 'range')
  assert.deepEqual(
    leader.members.map(({ memberId }) => memberId),
    [leader, ...others].map(({ memberId }) => memberId),
  )
  for (const follower of others) {
    assert.equal(follower.leader, leader.memberId)
    assert.deepEqual(follower.members, [])
  }
})

test('the extensions of the initial delay end with the rebalance timeout', async () => {
  const { groups, clock } = makeCoordinator({ initialRebalanceDelayMs: 100 })
  const first = groups.join(joinRequest({ rebalanceTimeoutMs: 250 }))
  const others = []
  for (let at = 0; at < 250; at += 50) {
    others.push(groups.join(joinRequest({ rebalanceTimeoutMs: 250 })))
    clock.advance(50)
  }
  assert.equal((await first).generation, 1)
  assert.equal((await first).members.length, 1 + others.length)
})

test('no initial delay answers a lone member as soon as timers run', async () => {
  const { groups, clock } = makeCoordinator({ initialRebalanceDelayMs: 0 })
  const joining = groups.join(joinRequest())
  clock.advance(0)
  assert.equal((await joining).generation, 1)
})

test('each member gets what the leader decided, and followers wait for it', async () => {
  const { groups, clock } = makeCoordinator()
  const answers = [groups.join(joinRequest()), groups.join(joinRequest()), groups.join(joinRequest())]
  clock.advance(delay * 2)
  const [leader, follower, forgotten] = await Promise.all(answers)
  assert.ok(leader && follower && forgotten)
  const waiting = sync(groups, follower)
  assert.ok(await isParked(waiting))
  const own = await sync(groups, leader, { [leader.memberId]: 'a', [follower.memberId]: 'b' })
  assert.equal(own.assignment.toString(), 'a')
  assert.equal((await waiting).assignment.toString(), 'b')
  assert.equal((await waiting).protocol, 'range')
  const none = await sync(groups, forgotten)
  assert.deepEqual([none.error, none.assignment.length], [0, 0])
})

test('a member that joins a stable group makes the others rejoin and takes part in the next generation', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader] = await formGroup(groups, clock, {})
  const joining = groups.join(joinRequest())
  assert.ok(await isParked(joining))
  assert.equal(groups.heartbeat(identity(leader)), errorCodes.REBALANCE_IN_PROGRESS)
  const again = await groups.join(joinRequest({ memberId: leader.memberId }))
  assert.equal(again.generation, 2)
  assert.equal(again.leader, leader.memberId)
  assert.equal(again.members.length, 2)
  assert.equal((await joining).generation, 2)
})

test('a member that does not rejoin within the rebalance timeout is left out', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader, lost] = await formGroup(groups, clock, {}, { sessionTimeoutMs: 60_000 })
  assert.ok(lost)
  const again = groups.join(joinRequest({ memberId: leader.memberId }))
  clock.advance(rebalance - 1)
  assert.ok(await isParked(again))
  clock.advance(1)
  assert.equal((await again).members.length, 1)
  assert.equal(groups.heartbeat(identity(lost)), errorCodes.UNKNOWN_MEMBER_ID)
})

test('when the leader does not rejoin, one who did leads', async () => {
  const { groups, clock } = makeCoordinator()
  const [, follower] = await formGroup(groups, clock, { sessionTimeoutMs: 60_000 }, {})
  assert.ok(follower)
  const protocols = [{ name: 'range', metadata: subscription('t', 'u') }]
  const again = groups.join(joinRequest({ memberId: follower.memberId, protocols }))
  clock.advance(rebalance)
  assert.equal((await again).leader, follower.memberId)
})

test('a silent member loses its place when its session is over, not before', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader, silent] = await formGroup(groups, clock, {}, {})
  assert.ok(silent)
  clock.advance(session - 1)
  assert.equal(groups.heartbeat(identity(leader)), errorCodes.NONE)
  assert.equal(groups.describe('g').members.length, 2)
  clock.advance(1)
  assert.equal(groups.heartbeat(identity(silent)), errorCodes.UNKNOWN_MEMBER_ID)
  assert.equal(groups.heartbeat(identity(leader)), errorCodes.REBALANCE_IN_PROGRESS)
})

test('the last session that ends leaves an empty group', async () => {
  const { groups, clock } = makeCoordinator()
  await formGroup(groups, clock, {}, {})
  clock.advance(session)
  const { state, members } = groups.describe('g')
  assert.deepEqual([state, members], ['Empty', []])
})

test('a member that waits for a slow rebalance outlives its session timeout', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader, slow] = await formGroup(groups, clock, {}, { sessionTimeoutMs: 60_000 })
  const again = groups.join(joinRequest({ memberId: leader.memberId }))
  clock.advance(session * 2)
  assert.ok(slow && (await isParked(again)))
  await groups.join(joinRequest({ memberId: slow.memberId, sessionTimeoutMs: 60_000 }))
  assert.equal((await again).members.length, 2)
  clock.advance(session - 1)
  assert.equal(groups.describe('g').members.length, 2)
  clock.advance(1)
  assert.equal(groups.describe('g').members.length, 1)
})

test('a member that waited for its work in vain has a session again, not an endless one', async () => {
  const { groups, clock } = makeCoordinator()
  const answers = [groups.join(joinRequest({ sessionTimeoutMs: 60_000 })), groups.join(joinRequest())]
  clock.advance(delay * 2)
  const [leader, follower] = await Promise.all(answers)
  assert.ok(leader && follower)
  const waiting = sync(groups, follower)
  clock.advance(session * 1.5)
  const newcomer = groups.join(joinRequest())
  assert.equal((await waiting).error, errorCodes.REBALANCE_IN_PROGRESS)
  clock.advance(session)
  assert.equal(groups.heartbeat(identity(follower)), errorCodes.UNKNOWN_MEMBER_ID)
  assert.ok(await isParked(newcomer))
})

test('a group whose members send their heartbeats stays as it is', async () => {
  const { groups, clock } = makeCoordinator()
  const members = await formGroup(groups, clock, {}, {})
  for (let passed = 0; passed < rebalance * 3; passed += session / 2) {
    clock.advance(session / 2)
    assert.deepEqual(
      members.map((member) => groups.heartbeat(identity(member))),
      [0, 0],
    )
  }
})

test('a follower whose leader never distributes the work rejoins after the rebalance timeout without it', async () => {
  const { groups, clock } = makeCoordinator()
  const slowest = { rebalanceTimeoutMs: 5000 }
  const answers = [groups.join(joinRequest(slowest)), groups.join(joinRequest(slowest))]
  clock.advance(delay * 2)
  const [leader, follower] = await Promise.all(answers)
  assert.ok(leader && follower)
  const waiting = sync(groups, follower)
  clock.advance(5000)
  assert.equal((await waiting).error, errorCodes.REBALANCE_IN_PROGRESS)
  const again = await groups.join(joinRequest({ memberId: follower.memberId, ...slowest }))
  assert.deepEqual([again.generation, again.leader], [2, follower.memberId])
  assert.equal(groups.heartbeat(identity(leader)), errorCodes.UNKNOWN_MEMBER_ID)
})

test('a follower that never asks for its work is left out after the rebalance timeout', async () => {
  const { groups, clock } = makeCoordinator()
  const answers = [groups.join(joinRequest({ rebalanceTimeoutMs: 5000 })), groups.join(joinRequest())]
  clock.advance(delay * 2)
  const [leader, follower] = await Promise.all(answers)
  assert.ok(leader && follower)
  assert.equal((await sync(groups, leader)).error, 0)
  assert.equal(groups.describe('g').state, 'Stable')
  // The follower's own rebalance timeout, the longest, counts; meanwhile both sessions are kept alive.
  for (let at = 0; at < rebalance; at += 5000) {
    assert.deepEqual(
      [leader, follower].map((member) => groups.heartbeat(identity(member))),
      [0, 0],
    )
    clock.advance(5000)
  }
  assert.equal(groups.heartbeat(identity(follower)), errorCodes.UNKNOWN_MEMBER_ID)
  assert.equal(groups.heartbeat(identity(leader)), errorCodes.REBALANCE_IN_PROGRESS)
})

test('a member that leaves makes the others share its work at once', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader, follower] = await formGroup(groups, clock, {}, {})
  assert.ok(follower)
  const left = groups.leave('g', [{ memberId: leader.memberId, instanceId: null }])
  assert.deepEqual([left.error, left.members[0]?.error], [0, 0])
  const again = await groups.join(joinRequest({ memberId: follower.memberId }))
  assert.deepEqual([again.generation, again.leader], [2, follower.memberId])
  assert.equal(groups.heartbeat(identity(leader)), errorCodes.UNKNOWN_MEMBER_ID)
  const strange = groups.leave('g', [{ memberId: 'nobody', instanceId: null }])
  assert.equal(strange.members[0]?.error, errorCodes.UNKNOWN_MEMBER_ID)
})

test('a member that left before it had its work disturbs nobody later', async () => {
  const { groups, clock } = makeCoordinator()
  const answers = [groups.join(joinRequest()), groups.join(joinRequest())]
  clock.advance(delay * 2)
  const [leader, follower] = await Promise.all(answers)
  assert.ok(leader && follower)
  groups.leave('g', [{ memberId: follower.memberId, instanceId: null }])
  const again = await groups.join(joinRequest({ memberId: leader.memberId }))
  await sync(groups, again)
  for (let passed = 0; passed < rebalance * 2; passed += session / 2) {
    clock.advance(session / 2)
    assert.equal(groups.heartbeat(identity(again)), 0)
  }
})

test('a member that leaves while its requests are parked gets them answered', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader, follower] = await formGroup(groups, clock, {}, {})
  assert.ok(follower)
  const rejoining = groups.join(joinRequest({ memberId: leader.memberId }))
  groups.leave('g', [{ memberId: leader.memberId, instanceId: null }])
  assert.equal((await rejoining).error, errorCodes.UNKNOWN_MEMBER_ID)
})

test('what a member misses it can ask for again: join and sync repeat their answers', async () => {
  const { groups, clock } = makeCoordinator()
  const answers = [groups.join(joinRequest()), groups.join(joinRequest())]
  clock.advance(delay * 2)
  const [leader, follower] = await Promise.all(answers)
  assert.ok(leader && follower)
  assert.deepEqual(await groups.join(joinRequest({ memberId: leader.memberId })), leader)
  assert.deepEqual(await groups.join(joinRequest({ memberId: follower.memberId })), follower)
  await sync(groups, leader, { [follower.memberId]: 'b' })
  assert.equal((await sync(groups, follower)).assignment.toString(), 'b')
  assert.equal((await sync(groups, follower)).assignment.toString(), 'b')
  assert.deepEqual(await groups.join(joinRequest({ memberId: follower.memberId })), follower)
  assert.equal(groups.describe('g').state, 'Stable')
})

test("a stable group's leader, or a member with another subscription, starts a rebalance by joining again", async () => {
  for (const who of [0, 1]) {
    const { groups, clock } = makeCoordinator()
    const member = (await formGroup(groups, clock, {}, {}))[who]
    assert.ok(member)
    const topics = who === 0 ? ['t'] : ['t', 'u']
    const protocols = [{ name: 'range', metadata: subscription(...topics) }]
    const again = groups.join(joinRequest({ memberId: member.memberId, protocols }))
    assert.ok(await isParked(again))
    assert.equal(groups.describe('g').state, 'PreparingRebalance')
  }
})

test('a second join of the same member sends the first one away', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader] = await formGroup(groups, clock, {}, {})
  const first = groups.join(joinRequest({ memberId: leader.memberId }))
  const second = groups.join(joinRequest({ memberId: leader.memberId }))
  assert.equal((await first).error, errorCodes.REBALANCE_IN_PROGRESS)
  assert.ok(await isParked(second))
})

test('the wrong generation, member or moment is told from each other', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader, follower] = await formGroup(groups, clock, {}, {})
  assert.ok(follower)
  assert.equal(groups.heartbeat(identity(leader, { generation: 0 })), errorCodes.ILLEGAL_GENERATION)
  assert.equal(groups.heartbeat(identity(leader, { generation: 2 })), errorCodes.ILLEGAL_GENERATION)
  assert.equal(groups.heartbeat(identity(leader, { memberId: 'x' })), errorCodes.UNKNOWN_MEMBER_ID)
  assert.equal(groups.heartbeat(identity(leader, { groupId: 'x' })), errorCodes.UNKNOWN_MEMBER_ID)
  assert.equal(groups.heartbeat(identity(leader, { groupId: '' })), errorCodes.INVALID_GROUP_ID)
  const error = async (changes: object) => (await sync(groups, { ...leader, ...changes })).error
  assert.equal(await error({ generation: 7 }), errorCodes.ILLEGAL_GENERATION)
  assert.equal(await error({ memberId: 'x' }), errorCodes.UNKNOWN_MEMBER_ID)
  assert.equal(await error({ protocol: 'x' }), errorCodes.INCONSISTENT_GROUP_PROTOCOL)
  assert.equal(await error({ protocolType: 'x' }), errorCodes.INCONSISTENT_GROUP_PROTOCOL)
  const late = groups.join(joinRequest({ memberId: leader.memberId }))
  assert.equal(await error({}), errorCodes.REBALANCE_IN_PROGRESS)
  assert.ok(await isParked(late))
  const unknown = await groups.join(joinRequest({ memberId: 'x' }))
  assert.equal(unknown.error, errorCodes.UNKNOWN_MEMBER_ID)
  const nowhere = await groups.join(joinRequest({ groupId: 'new', memberId: 'x' }))
  assert.equal(nowhere.error, errorCodes.UNKNOWN_MEMBER_ID)
})

function knowing(...names: string[]): Pick<JoinRequest, 'protocols'> {
  return { protocols: names.map((name) => ({ name, metadata: subscription('t') })) }
}

test('the protocol that all know and most prefer is chosen; who shares none is refused', async () => {
  const { groups, clock } = makeCoordinator()
  const answers = [
    groups.join(joinRequest(knowing('only-mine', 'range', 'sticky'))),
    groups.join(joinRequest(knowing('sticky', 'range'))),
    groups.join(joinRequest(knowing('sticky', 'range', 'yours'))),
  ]
  const stranger = await groups.join(joinRequest(knowing('yours')))
  assert.equal(stranger.error, errorCodes.INCONSISTENT_GROUP_PROTOCOL)
  const connect = await groups.join(joinRequest({ ...knowing('range'), protocolType: 'connect' }))
  assert.equal(connect.error, errorCodes.INCONSISTENT_GROUP_PROTOCOL)
  clock.advance(delay * 2)
  for (const { protocol } of await Promise.all(answers)) assert.equal(protocol, 'sticky')
  for (const nothing of [{ protocols: [] }, { protocolType: '' }]) {
    const { error } = await groups.join(joinRequest({ groupId: 'other', ...nothing }))
    assert.equal(error, errorCodes.INCONSISTENT_GROUP_PROTOCOL)
  }
  assert.deepEqual(
    groups.list().map(({ groupId }) => groupId),
    ['g'],
  )
})

test('between equally many votes the first vote decides', async () => {
  const { groups, clock } = makeCoordinator()
  const tied = [knowing('a', 'b'), knowing('b', 'a')].map((protocols) => {
    return groups.join(joinRequest(protocols))
  })
  clock.advance(delay * 2)
  for (const { protocol } of await Promise.all(tied)) assert.equal(protocol, 'a')
})

test('a newcomer is first given an id to come back with, if its version asks for that', async () => {
  const { groups, clock } = makeCoordinator()
  const first = await groups.join(joinRequest({ requireMemberId: true }))
  assert.equal(first.error, errorCodes.MEMBER_ID_REQUIRED)
  assert.match(first.memberId, /^client-[0-9a-f-]{36}$/)
  assert.deepEqual(groups.describe('g').members, [])
  const { memberId } = first
  const joining = groups.join(joinRequest({ memberId, requireMemberId: true }))
  clock.advance(delay)
  assert.deepEqual([(await joining).error, (await joining).memberId], [0, memberId])
})

test('a rebalance waits for a pending member, until that has left or let its session timeout pass', async () => {
  for (const leaves of [true, false]) {
    const { groups, clock } = makeCoordinator()
    const [leader] = await formGroup(groups, clock, {})
    const pending = await groups.join(joinRequest({ requireMemberId: true }))
    const again = groups.join(joinRequest({ memberId: leader.memberId }))
    clock.advance(session - 1)
    assert.ok(await isParked(again))
    if (leaves) groups.leave('g', [{ memberId: pending.memberId, instanceId: null }])
    else clock.advance(1)
    assert.equal((await again).members.length, 1)
    const late = await groups.join(joinRequest({ memberId: pending.memberId, requireMemberId: true }))
    assert.equal(late.error, errorCodes.UNKNOWN_MEMBER_ID)
  }
})

test('first joins that nobody waits for any more are given up after their own timeout', async () => {
  const { groups, clock } = makeCoordinator({ newMemberJoinTimeoutMs: 1000 })
  await formGroup(groups, clock, { sessionTimeoutMs: 60_000 })
  const abandoned = groups.join(joinRequest())
  clock.advance(1000)
  assert.equal((await abandoned).error, errorCodes.UNKNOWN_MEMBER_ID)
  assert.equal(groups.describe('g').members.length, 1)
})

test('a commit of a member counts as its heartbeat', async () => {
  const { groups, clock } = makeCoordinator()
  const [leader] = await formGroup(groups, clock, {})
  clock.advance(session - 1)
  const commit = { topic: 't', partition: 0, offset: 1, leaderEpoch: -1, metadata: '' }
  assert.equal(groups.commitOffsets(identity(leader), [commit])[0]?.error, 0)
  clock.advance(session - 1)
  assert.equal(groups.heartbeat(identity(leader)), 0)
})
