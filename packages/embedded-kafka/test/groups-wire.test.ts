import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as client from '@platformatic/kafka'
import { startEmbeddedKafka } from '../src/index.ts'
import type { EmbeddedKafka } from '../src/index.ts'
import { errorCodes } from '../src/wire/error-codes.ts'
import {
  joins,
  syncs,
  heartbeats,
  leaves,
  commits,
  fetches,
  finds,
  descriptions,
  lists,
  deletions,
} from './support/group-versions.ts'
import { subscription } from './support/groups.ts'
import { until } from './support/until.ts'

const protocols = [{ name: 'range', metadata: subscription('t') }]
const session = 10_000

/** The protocol's error code in what the client throws for an error in a response. */
function codeOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) throw error
  const nested = 'errors' in error && Array.isArray(error.errors) ? error.errors : []
  return [error, ...nested]
    .map((one) => (one as { apiCode?: number }).apiCode)
    .find((code) => code !== undefined)
}

async function refusal(answer: Promise<unknown>): Promise<number> {
  try {
    await answer
  } catch (error) {
    return codeOf(error) ?? assert.fail(error as Error)
  }
  return errorCodes.NONE
}

async function openConnection(kafka: EmbeddedKafka, clientId = 'wire'): Promise<client.Connection> {
  const connection = new client.Connection(clientId, { maxInflights: 5 })
  await connection.connect(kafka.host, kafka.port)
  return connection
}

/** Joins with this version; from 4 on a first join is answered with an id to come back with. */
async function join(
  connection: client.Connection,
  version: number,
  groupId: string,
  memberId = '',
  instanceId: string | null = null,
): Promise<client.joinGroupV9.JoinGroupResponse> {
  const api = joins[version]
  assert.ok(api)
  try {
    return await api.api.async(
      connection,
      groupId,
      session,
      session,
      memberId,
      instanceId,
      'consumer',
      protocols,
    )
  } catch (error) {
    if (codeOf(error) !== errorCodes.MEMBER_ID_REQUIRED) throw error
    assert.ok(version >= 4)
    const { memberId: given } = (error as { response: client.joinGroupV9.JoinGroupResponse }).response
    return await join(connection, version, groupId, given, instanceId)
  }
}

for (const [version] of joins.entries()) {
  test(`two members form a group, commit and leave: JoinGroup ${version} and as near as may be of the others`, async () => {
    // Time for both to join the first generation, also when one of them is kept waiting.
    const groups = { initialRebalanceDelayMs: 750 }
    await using kafka = await startEmbeddedKafka({ topics: ['t:3'], groups })
    const one = await openConnection(kafka, 'one')
    const two = await openConnection(kafka, 'two')
    const syncApi = syncs[Math.min(version, 5)]
    const heartbeatApi = heartbeats[Math.min(version, 4)]
    const leaveApi = leaves[Math.min(version, 5)]
    const isStatic = version >= 5
    assert.ok(syncApi && heartbeatApi && leaveApi)
    try {
      const instanceId = isStatic ? 'i' : null
      const joined = await Promise.all([join(one, version, 'g'), join(two, version, 'g', '', instanceId)])
      const [leader, follower] = joined[0].members.length === 2 ? joined : joined.toReversed()
      const [leads, follows] = leader === joined[0] ? [one, two] : [two, one]
      assert.ok(leader && follower)
      assert.deepEqual([leader.generationId, follower.generationId], [1, 1])
      assert.deepEqual([leader.leader, follower.leader], [leader.memberId, leader.memberId])
      assert.equal(leader.protocolName, 'range')
      assert.deepEqual(
        new Set(leader.members.map((member) => member.memberId)),
        new Set([leader.memberId, follower.memberId]),
      )
      for (const { metadata } of leader.members) assert.deepEqual(metadata, protocols[0]?.metadata)
      assert.deepEqual(
        leader.members.map(({ groupInstanceId }) => groupInstanceId ?? null).filter((id) => id !== null),
        isStatic ? ['i'] : [],
      )

      const work = [leader, follower].map(({ memberId }) => ({ memberId, assignment: Buffer.from(memberId) }))
      const identities = [leader, follower].map((member) => {
        return [member.generationId, member.memberId, member === joined[1] ? instanceId : null] as const
      })
      const [own, others] = identities
      assert.ok(own && others)
      const synced = await Promise.all([
        syncApi.api.async(leads, 'g', ...own, 'consumer', 'range', work),
        syncApi.api.async(follows, 'g', ...others, 'consumer', 'range', []),
      ])
      assert.deepEqual(
        synced.map(({ assignment }) => assignment.toString()),
        [leader.memberId, follower.memberId],
      )
      assert.equal((await heartbeatApi.api.async(follows, 'g', ...others)).errorCode, 0)
      const [generation, , instance] = others
      const strange = heartbeatApi.api.async(follows, 'g', generation, 'x', instance)
      const isFenced = isStatic && instance !== null
      assert.equal(
        await refusal(strange),
        isFenced ? errorCodes.FENCED_INSTANCE_ID : errorCodes.UNKNOWN_MEMBER_ID,
      )

      const late = heartbeatApi.api.async(leads, 'g', 7, leader.memberId, own[2])
      assert.equal(await refusal(late), errorCodes.ILLEGAL_GENERATION)
      const leaving = leaveApi.api.async(follows, 'g', [
        { memberId: follower.memberId, groupInstanceId: others[2] },
      ])
      assert.equal((await leaving).errorCode, 0)
      const beat = heartbeatApi.api.async(leads, 'g', ...own)
      assert.equal(await refusal(beat), errorCodes.REBALANCE_IN_PROGRESS)
      const again = leaveApi.api.async(follows, 'g', [
        { memberId: follower.memberId, groupInstanceId: others[2] },
      ])
      assert.equal(await refusal(again), errorCodes.UNKNOWN_MEMBER_ID)
    } finally {
      await Promise.all([one.close(), two.close()])
    }
  })
}

/** The client gives the answer's topics as each version has them: at the top, from 8 on in groups. */
function topicsOf(answer: object): client.offsetFetchV8.OffsetFetchResponseTopic[] {
  const { groups, topics } = answer as client.offsetFetchV8.OffsetFetchResponse & {
    topics?: client.offsetFetchV8.OffsetFetchResponseTopic[]
  }
  return topics ?? groups[0]?.topics ?? []
}

test('offsets are committed and fetched in every version', async () => {
  await using kafka = await startEmbeddedKafka({ topics: ['t:3', 'u'] })
  const connection = await openConnection(kafka)
  try {
    for (const [index, { api }] of commits.entries()) {
      const offset = {
        committedOffset: BigInt(40 + index),
        committedLeaderEpoch: 2,
        committedMetadata: `by ${index}`,
      }
      const topics = [
        {
          name: 't',
          partitions: [
            { partitionIndex: 0, ...offset },
            { partitionIndex: 2, ...offset },
          ],
        },
        { name: 'u', partitions: [{ partitionIndex: 0, ...offset }] },
      ]
      const committed = await api.async(connection, 'g', -1, '', null, topics)
      assert.deepEqual(
        committed.topics.map(({ name, partitions }) => [name, partitions.map(({ errorCode }) => errorCode)]),
        [
          ['t', [0, 0]],
          ['u', [0]],
        ],
      )
      const unknown = [{ name: 'nowhere', partitions: [{ partitionIndex: 0, ...offset }] }]
      const refused = api.async(connection, 'g', -1, '', null, unknown)
      assert.equal(await refusal(refused), errorCodes.UNKNOWN_TOPIC_OR_PARTITION)
      const foreign = api.async(connection, 'g', 5, 'x', null, topics)
      assert.equal(await refusal(foreign), errorCodes.UNKNOWN_MEMBER_ID)
    }
    for (const [index, { api }] of fetches.entries()) {
      const version = index + 1
      const wanted = [{ name: 't', partitionIndexes: [0, 1] }]
      const group = { groupId: 'g', memberId: null, memberEpoch: -1 }
      const some = await api.async(connection, [{ ...group, topics: wanted }], false)
      const epoch = version >= 5 ? 2 : -1
      const found = topicsOf(some).flatMap(({ partitions }) => partitions)
      assert.deepEqual(
        found?.map((one) => [
          one.partitionIndex,
          one.committedOffset,
          one.committedLeaderEpoch,
          one.metadata,
        ]),
        [
          [0, 46n, epoch, 'by 6'],
          [1, -1n, -1, ''],
        ],
      )
      if (version < 2) continue
      const all = await api.async(connection, [{ ...group, topics: null }], true)
      assert.deepEqual(
        topicsOf(all).map(({ name, partitions }) => [name, partitions.length]),
        [
          ['t', 2],
          ['u', 1],
        ],
      )
    }
    const both = [
      { groupId: 'g', memberId: null, memberEpoch: -1, topics: null },
      { groupId: 'nobody', memberId: null, memberEpoch: -1, topics: null },
    ]
    const several = await client.offsetFetchV8.api.async(connection, both, false)
    assert.deepEqual(
      several.groups.map(({ groupId, topics }) => [groupId, topics.length]),
      [
        ['g', 2],
        ['nobody', 0],
      ],
    )
    kafka.deleteTopic('u')
    const left = await client.offsetFetchV8.api.async(connection, both.slice(0, 1), false)
    assert.deepEqual(
      left.groups[0]?.topics.map(({ name }) => name),
      ['t'],
    )
  } finally {
    await connection.close()
  }
})

test('groups are found, described, listed and deleted in every version', async () => {
  await using kafka = await startEmbeddedKafka({ topics: ['t:3'] })
  const connection = await openConnection(kafka, 'admin')
  try {
    for (const { api } of finds) {
      const { coordinators } = await api.async(connection, 0, ['g'])
      const found = coordinators.map(({ host, port, errorCode }) => ({ host, port, errorCode }))
      assert.deepEqual(found, [{ host: kafka.host, port: kafka.port, errorCode: 0 }])
      assert.equal(await refusal(api.async(connection, 1, ['transaction'])), 0)
    }
    assert.equal(
      await refusal(client.findCoordinatorV4.api.async(connection, 2, ['g'])),
      errorCodes.INVALID_REQUEST,
    )
    const { generationId, memberId } = await join(connection, 7, 'g', '', 'i')
    const work = [{ memberId, assignment: Buffer.from('work') }]
    await client.syncGroupV5.api.async(
      connection,
      'g',
      generationId,
      memberId,
      'i',
      'consumer',
      'range',
      work,
    )
    for (const [version, { api }] of descriptions.entries()) {
      const { groups } = await api.async(connection, ['g', 'nobody', 'g'], true)
      assert.deepEqual(
        groups.map((group) => [group.groupId, group.groupState, group.protocolType, group.protocolData]),
        [
          ['g', 'Stable', 'consumer', 'range'],
          ['nobody', 'Dead', '', ''],
        ],
      )
      if (version >= 3) assert.equal(groups[0]?.authorizedOperations, 328)
      const [member] = groups[0]?.members ?? []
      assert.ok(member)
      assert.deepEqual([member.memberId, member.clientId], [memberId, 'admin'])
      if (version >= 4) assert.equal(member.groupInstanceId, 'i')
      assert.match(member.clientHost, /127\.0\.0\.1/)
      assert.deepEqual(member.memberMetadata, protocols[0]?.metadata)
      assert.equal(member.memberAssignment.toString(), 'work')
    }
    for (const [version, { api }] of lists.entries()) {
      const { groups } = await api.async(connection, [], [])
      assert.deepEqual(
        groups.map(({ groupId, protocolType }) => [groupId, protocolType]),
        [['g', 'consumer']],
      )
      if (version < 4) continue
      assert.equal(groups[0]?.groupState, 'Stable')
      assert.equal((await api.async(connection, ['STABLE', 'EMPTY'], [])).groups.length, 1)
      assert.equal((await api.async(connection, ['EMPTY'], [])).groups.length, 0)
      if (version < 5) continue
      assert.equal((await api.async(connection, [], ['classic'])).groups.length, 1)
      assert.equal((await api.async(connection, [], ['consumer'])).groups.length, 0)
    }
    for (const { api } of deletions) {
      assert.equal(await refusal(api.async(connection, ['g'])), errorCodes.NON_EMPTY_GROUP)
      assert.equal(await refusal(api.async(connection, ['nobody'])), errorCodes.GROUP_ID_NOT_FOUND)
    }
    const subscribed = [{ name: 't', partitions: [{ partitionIndex: 0 }] }]
    const used = client.offsetDeleteV0.api.async(connection, 'g', subscribed)
    assert.equal(await refusal(used), errorCodes.GROUP_SUBSCRIBED_TO_TOPIC)
    await client.leaveGroupV4.api.async(connection, 'g', [{ memberId: '', groupInstanceId: 'i' }])
    const unused = await client.offsetDeleteV0.api.async(connection, 'g', subscribed)
    assert.deepEqual(unused.topics[0]?.partitions, [{ partitionIndex: 0, errorCode: 0 }])
    assert.equal(await refusal(client.deleteGroupsV2.api.async(connection, ['g'])), 0)
    assert.equal((await client.listGroupsV4.api.async(connection, [], [])).groups.length, 0)
  } finally {
    await connection.close()
  }
})

test('a member whose connection dies in a parked join keeps its place, and the broker goes on', async () => {
  await using kafka = await startEmbeddedKafka({ topics: ['t'], groups: { minSessionTimeoutMs: 100 } })
  const [one, two] = [await openConnection(kafka), await openConnection(kafka)]
  try {
    const first = await join(one, 3, 'g')
    await client.syncGroupV5.api.async(one, 'g', 1, first.memberId, null, 'consumer', 'range', [])
    const parked = join(two, 3, 'g')
    parked.catch(() => {})
    await until(async () => {
      const { groups } = await client.describeGroupsV5.api.async(one, ['g'], false)
      return groups[0]?.members.length === 2
    }, 'the second join is parked')
    await two.close()
    const again = await join(one, 3, 'g', first.memberId)
    assert.deepEqual([again.generationId, again.members.length], [2, 2])
  } finally {
    await Promise.allSettled([one.close(), two.close()])
  }
})

test('closing the broker ends parked joins', async () => {
  const kafka = await startEmbeddedKafka({ topics: ['t'], groups: { initialRebalanceDelayMs: 60_000 } })
  const [one, two] = [await openConnection(kafka), await openConnection(kafka)]
  const parked = join(one, 3, 'g').then(
    () => 'answered',
    () => 'ended',
  )
  await until(async () => {
    const { groups } = await client.describeGroupsV5.api.async(two, ['g'], false)
    return groups[0]?.members.length === 1
  }, 'the join is parked')
  await kafka.close()
  assert.equal(await parked, 'ended')
  await Promise.allSettled([one.close(), two.close()])
})
