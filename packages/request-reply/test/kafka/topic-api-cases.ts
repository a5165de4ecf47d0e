/** The APIs of topics and their partitions. */
import type * as client from '@platformatic/kafka'
import { createTopicsApi } from '../../src/transport/kafka/protocol/create-topics.ts'
import { deleteTopicsApi } from '../../src/transport/kafka/protocol/delete-topics.ts'
import { initProducerIdApi } from '../../src/transport/kafka/protocol/init-producer-id.ts'
import { listOffsetsApi } from '../../src/transport/kafka/protocol/list-offsets.ts'
import { metadataApi } from '../../src/transport/kafka/protocol/metadata.ts'
import { offsetForLeaderEpochApi } from '../../src/transport/kafka/protocol/offset-for-leader-epoch.ts'
import { apiCase, byTopic, type ApiCase, type Theirs, writeTopics } from './api-case.ts'

const id = '0b7ea5f0-1a2b-4c3d-8e9f-a0b1c2d3e4f5'
const offsets = [
  { topic: 'a', partition: 0, offset: 2 ** 40 + 1, metadata: null },
  { topic: 'b', partition: 2, offset: 7, metadata: 'ahead' },
  { topic: 'a', partition: 300, offset: 0, metadata: '' },
]
const broker = { id: 2, host: 'hüst', port: 9092 }
const topics = [
  {
    errorCode: 0,
    name: 'a',
    id,
    partitions: [
      { partition: 0, leader: 2, epoch: 5 },
      { partition: 1, leader: -1, epoch: 6 },
    ],
  },
  { errorCode: 3, name: 'gone', id: '00000000-0000-0000-0000-000000000000', partitions: [] },
]

export const topicApiCases: readonly ApiCase[] = [
  apiCase(
    metadataApi,
    { topics: ['a', 'ü'] },
    {
      theirs: (version) => [['a', 'ü'], false, false, ...(version === 10 ? [false] : [])],
      answer(to, version) {
        to.array([broker], (w, { id, host, port }) => w.int32(id).text(host).int32(port).text(null).tags())
        to.text('cluster').int32(2)
        to.array(topics, (w, topic) => {
          w.int16(topic.errorCode).text(topic.name).uuid(topic.id).bool(false)
          w.array(topic.partitions, (w, { partition, leader, epoch }) => {
            w.int16(0).int32(partition).int32(leader).int32(epoch)
            w.array([1, 2], (w, node) => w.int32(node))
              .array([2], (w, node) => w.int32(node))
              .array([], () => undefined)
              .tags()
          })
          w.int32(-2147483648).tags()
        })
        if (version === 10) to.int32(-2147483648)
        if (version >= 13) to.int16(129)
        to.tags()
      },
      read: (version) => ({ errorCode: version >= 13 ? 129 : 0, brokers: [broker], controller: 2, topics }),
      seen: (got: Theirs<typeof client.metadataV12>) => ({
        errorCode: 0,
        brokers: got.brokers.map(({ nodeId, host, port }) => ({ id: nodeId, host, port })),
        controller: got.controllerId,
        topics: got.topics.map((topic) => ({
          errorCode: topic.errorCode,
          name: topic.name,
          id: topic.topicId,
          partitions: topic.partitions.map((one) => ({
            partition: one.partitionIndex,
            leader: one.leaderId,
            epoch: one.leaderEpoch,
          })),
        })),
      }),
    },
  ),
  apiCase(
    initProducerIdApi,
    { timeout: 5_000 },
    {
      theirs: () => [null, 5_000, -1n, -1],
      answer: (to) =>
        void to
          .int16(0)
          .bigint64(2n ** 60n)
          .int16(0)
          .tags(),
      read: () => ({ errorCode: 0, producerId: 2n ** 60n }),
      seen: ({ errorCode, producerId }: Theirs<typeof client.initProducerIdV5>) => ({
        errorCode,
        producerId,
      }),
    },
  ),
  apiCase(
    listOffsetsApi,
    {
      isolation: 1,
      partitions: [
        { topic: 'a', partition: 0, epoch: 4, timestamp: -1 },
        { topic: 'a', partition: 300, epoch: -1, timestamp: 1_700_000_000_000 },
      ],
    },
    {
      theirs: () => [
        -1,
        1,
        [
          {
            name: 'a',
            partitions: [
              { partitionIndex: 0, currentLeaderEpoch: 4, timestamp: -1n },
              { partitionIndex: 300, currentLeaderEpoch: -1, timestamp: 1_700_000_000_000n },
            ],
          },
        ],
      ],
      answer(to) {
        writeTopics(to, offsets, (w, { partition, offset }) => {
          w.int32(partition).int16(0).int64(-1).int64(offset).int32(8).tags()
        })
        to.tags()
      },
      read: () =>
        byTopic(offsets, (one) => one).flatMap(({ topic, partitions }) =>
          partitions.map(({ partition, offset }) => ({ topic, partition, errorCode: 0, offset, epoch: 8 })),
        ),
      seen: (got: Theirs<typeof client.listOffsetsV9>) =>
        got.topics.flatMap(({ name, partitions }) =>
          partitions.map((one) => ({
            topic: name,
            partition: one.partitionIndex,
            errorCode: one.errorCode,
            offset: Number(one.offset),
            epoch: one.leaderEpoch,
          })),
        ),
    },
  ),
  apiCase(
    offsetForLeaderEpochApi,
    [
      { topic: 'a', partition: 0, epoch: 4, term: 3 },
      { topic: 'b', partition: 1, epoch: -1, term: 0 },
    ],
    {
      theirs: () => [
        -1,
        [
          { name: 'a', partitions: [{ partitionIndex: 0, currentLeaderEpoch: 4, leaderEpoch: 3 }] },
          { name: 'b', partitions: [{ partitionIndex: 1, currentLeaderEpoch: -1, leaderEpoch: 0 }] },
        ],
      ],
      answer(to) {
        writeTopics(to, [{ topic: 'a', partition: 9 }], (w, { partition }) => {
          w.int16(0)
            .int32(partition)
            .int32(3)
            .int64(2 ** 40)
            .tags()
        })
        to.tags()
      },
      read: () => [{ topic: 'a', partition: 9, errorCode: 0, term: 3, end: 2 ** 40 }],
      seen: (got: Theirs<typeof client.offsetForLeaderEpochV4>) =>
        got.topics.flatMap(({ topic, partitions }) =>
          partitions.map((one) => ({
            topic,
            partition: one.partition,
            errorCode: one.errorCode,
            term: one.leaderEpoch,
            end: Number(one.endOffset),
          })),
        ),
    },
  ),
  apiCase(
    createTopicsApi,
    {
      topics: [{ name: 'a', partitions: 3, replicationFactor: -1, configs: [['retention.ms', '60000']] }],
      timeout: 10_000,
    },
    {
      theirs: () => [
        [
          {
            name: 'a',
            numPartitions: 3,
            replicationFactor: -1,
            assignments: [],
            configs: [{ name: 'retention.ms', value: '60000' }],
          },
        ],
        10_000,
        false,
      ],
      answer(to, version) {
        to.array(['a'], (w, name) => {
          w.text(name)
          if (version >= 7) w.uuid(id)
          w.int16(0).text(null).int32(3).int16(1)
          w.array(['retention.ms'], (w, config) =>
            w.text(config).text('60000').bool(false).int8(1).bool(false).tags(),
          )
          w.tags()
        })
        to.tags()
      },
      read: () => [{ name: 'a', errorCode: 0, message: null }],
      seen: (got: Theirs<typeof client.createTopicsV7>) =>
        got.topics.map(({ name, errorCode, errorMessage }) => ({ name, errorCode, message: errorMessage })),
    },
  ),
  apiCase(
    deleteTopicsApi,
    { names: ['a', 'ü'], timeout: 10_000 },
    {
      theirs: () => [[{ name: 'a' }, { name: 'ü' }], 10_000],
      answer(to, version) {
        to.array(['a', 'ü'], (w, name) => {
          w.text(name)
          if (version >= 6) w.uuid(id)
          w.int16(0)
          if (version >= 5) w.text(null)
          w.tags()
        })
        to.tags()
      },
      read: () => ['a', 'ü'].map((name) => ({ name, errorCode: 0, message: null })),
      seen: (got: Theirs<typeof client.deleteTopicsV6>) =>
        got.responses.map(({ name, errorCode, errorMessage }) => ({
          name,
          errorCode,
          message: errorMessage ?? null,
        })),
    },
  ),
]
