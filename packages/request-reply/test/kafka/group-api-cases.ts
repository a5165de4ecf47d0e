/** The APIs of groups. */
import type * as client from '@platformatic/kafka'
import { findCoordinatorApi } from '../../src/transport/kafka/protocol/find-coordinator.ts'
import { heartbeatApi } from '../../src/transport/kafka/protocol/heartbeat.ts'
import { joinGroupApi } from '../../src/transport/kafka/protocol/join-group.ts'
import { leaveGroupApi } from '../../src/transport/kafka/protocol/leave-group.ts'
import { offsetCommitApi } from '../../src/transport/kafka/protocol/offset-commit.ts'
import { offsetFetchApi } from '../../src/transport/kafka/protocol/offset-fetch.ts'
import { syncGroupApi } from '../../src/transport/kafka/protocol/sync-group.ts'
import { apiCase, byTopic, type ApiCase, type Theirs, writeTopics } from './api-case.ts'

const group = { groupId: 'g-ü', memberId: 'm', instanceId: 'i', generation: 300 }
const offsets = [
  { topic: 'a', partition: 0, offset: 2 ** 40 + 1, metadata: null },
  { topic: 'b', partition: 2, offset: 7, metadata: 'ahead' },
  { topic: 'a', partition: 300, offset: 0, metadata: '' },
]
const broker = { id: 2, host: 'hüst', port: 9092 }

export const groupApiCases: readonly ApiCase[] = [
  apiCase(
    findCoordinatorApi,
    { groupId: 'g-ü' },
    {
      theirs: () => [0, ['g-ü']],
      answer(to, version) {
        const { id, host, port } = broker
        if (version === 3) to.int16(0).text(null).int32(id).text(host).int32(port)
        else {
          to.array(['g-ü'], (w, key) =>
            w.text(key).int32(id).text(host).int32(port).int16(0).text(null).tags(),
          )
        }
        to.tags()
      },
      read: () => ({ errorCode: 0, ...broker }),
      seen: (got: Theirs<typeof client.findCoordinatorV6>) => {
        const { errorCode, nodeId, host, port } = got.coordinators[0]!
        return { errorCode, id: nodeId, host, port }
      },
    },
  ),
  apiCase(
    joinGroupApi,
    {
      groupId: 'g-ü',
      memberId: 'm',
      instanceId: 'i',
      sessionTimeout: 10_000,
      rebalanceTimeout: 20_000,
      protocol: 'cooperative-sticky',
      subscription: Buffer.of(1, 2, 3),
      reason: 'why not',
    },
    {
      theirs: () => [
        'g-ü',
        10_000,
        20_000,
        'm',
        'i',
        'consumer',
        [{ name: 'cooperative-sticky', metadata: Buffer.of(1, 2, 3) }],
        'why not',
      ],
      answer(to, version) {
        to.int16(0).int32(300).text('consumer').text('cooperative-sticky').text('m')
        if (version >= 9) to.bool(true)
        to.text('m')
        to.array(['m', 'other'], (w, member) => w.text(member).text(null).blob(Buffer.from(member)).tags())
        to.tags()
      },
      read: (version) => ({
        errorCode: 0,
        generation: 300,
        leader: 'm',
        skipAssignment: version >= 9,
        memberId: 'm',
        members: ['m', 'other'].map((member) => ({ memberId: member, metadata: Buffer.from(member) })),
      }),
      seen: (got: Theirs<typeof client.joinGroupV9>, version) => ({
        errorCode: got.errorCode,
        generation: got.generationId,
        leader: got.leader,
        skipAssignment: version >= 9 && got.skipAssignment,
        memberId: got.memberId,
        members: got.members.map(({ memberId, metadata }) => ({ memberId, metadata })),
      }),
    },
  ),
  apiCase(
    syncGroupApi,
    { ...group, protocol: 'p', assignments: [{ memberId: 'm', assignment: Buffer.of(0, 1) }] },
    {
      theirs: () => ['g-ü', 300, 'm', 'i', 'consumer', 'p', [{ memberId: 'm', assignment: Buffer.of(0, 1) }]],
      answer: (to) => void to.int16(0).text('consumer').text('p').blob(Buffer.of(9, 8)).tags(),
      read: () => ({ errorCode: 0, assignment: Buffer.of(9, 8) }),
      seen: ({ errorCode, assignment }: Theirs<typeof client.syncGroupV5>) => ({ errorCode, assignment }),
    },
  ),
  apiCase(heartbeatApi, group, {
    theirs: () => ['g-ü', 300, 'm', 'i'],
    answer: (to) => void to.int16(0).tags(),
    read: () => ({ errorCode: 0 }),
    seen: ({ errorCode }: Theirs<typeof client.heartbeatV4>) => ({ errorCode }),
  }),
  apiCase(
    leaveGroupApi,
    { groupId: 'g-ü', memberId: 'm', instanceId: 'i', reason: 'over' },
    {
      theirs: () => ['g-ü', [{ memberId: 'm', groupInstanceId: 'i', reason: 'over' }]],
      answer: (to) =>
        void to
          .int16(0)
          .array(['m'], (w, member) => w.text(member).text('i').int16(0).tags())
          .tags(),
      read: () => ({ errorCode: 0 }),
      seen: (got: Theirs<typeof client.leaveGroupV5>) => ({ errorCode: got.members[0]!.errorCode }),
    },
  ),
  apiCase(
    offsetCommitApi,
    { ...group, offsets },
    {
      theirs: () => [
        'g-ü',
        300,
        'm',
        'i',
        byTopic(offsets, ({ partition, offset, metadata }) => ({
          partitionIndex: partition,
          committedOffset: BigInt(offset),
          committedLeaderEpoch: -1,
          committedMetadata: metadata,
        })),
      ],
      answer(to) {
        writeTopics(to, offsets, (w, { partition }) => w.int32(partition).int16(0).tags())
        to.tags()
      },
      read: () =>
        byTopic(offsets, (one) => one.partition).flatMap(({ topic, partitions }) =>
          partitions.map((partition) => ({ topic, partition, errorCode: 0 })),
        ),
      seen: (got: Theirs<typeof client.offsetCommitV9>) =>
        got.topics.flatMap(({ name, partitions }) =>
          partitions.map((one) => ({
            topic: name,
            partition: one.partitionIndex,
            errorCode: one.errorCode,
          })),
        ),
    },
  ),
  apiCase(
    offsetFetchApi,
    { groupId: 'g-ü', partitions: offsets, requireStable: true },
    {
      theirs: () => [
        [
          {
            groupId: 'g-ü',
            memberId: null,
            memberEpoch: -1,
            topics: byTopic(offsets, (one) => one.partition),
          },
        ],
        true,
      ],
      answer(to) {
        to.array(['g-ü'], (w, groupId) => {
          w.text(groupId)
          writeTopics(w, offsets, (w, { partition, offset, metadata }) => {
            w.int32(partition).int64(offset).int32(-1).text(metadata).int16(0).tags()
          })
          w.int16(0).tags()
        })
        to.tags()
      },
      read: () => ({
        errorCode: 0,
        offsets: byTopic(offsets, (one) => one).flatMap(({ partitions }) =>
          partitions.map(({ topic, partition, offset, metadata }) => {
            return { topic, partition, errorCode: 0, offset, metadata }
          }),
        ),
      }),
      seen: (got: Theirs<typeof client.offsetFetchV9>) => ({
        errorCode: got.groups[0]!.errorCode,
        offsets: got.groups[0]!.topics.flatMap(({ name, partitions }) =>
          partitions.map((one) => ({
            topic: name,
            partition: one.partitionIndex,
            errorCode: one.errorCode,
            offset: Number(one.committedOffset),
            metadata: one.metadata,
          })),
        ),
      }),
    },
  ),
]
