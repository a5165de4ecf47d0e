import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fetchV12, fetchV13, fetchV14, fetchV15, fetchV16, fetchV17 } from '@platformatic/kafka'
import { fetchApi, type FetchTarget } from '../../src/transport/kafka/reading/fetch-api.ts'
import { answerBytes, readAnswer, requestBytes, versionsOf } from './api-bytes.ts'

const apis = { 12: fetchV12, 13: fetchV13, 14: fetchV14, 15: fetchV15, 16: fetchV16, 17: fetchV17 }
const limits = { wait: 500, maxBytes: 8_388_608, partitionMaxBytes: 1_048_576 }
const ids = ['0b7ea5f0-1a2b-4c3d-8e9f-a0b1c2d3e4f5', 'ffffffff-0000-4000-8000-0123456789ab'] as const

function target(topic: number, partition: number, position: number): FetchTarget {
  return {
    topic: `topic-ü${topic}`,
    topicId: ids[topic]!,
    partition,
    epoch: partition - 1,
    position,
    lastEpoch: partition - 2,
  }
}

const targets = [
  target(0, 5, 0),
  target(0, 300, 2 ** 32 - 1),
  target(1, 0, 2 ** 32),
  target(1, 2, 2 ** 53 - 1),
]

for (const [text, api] of Object.entries(apis)) {
  const version = Number(text)
  test(`version ${version} of the request has the bytes that the client's own encoder writes`, () => {
    const topics = [0, 1].map((topic) => ({
      topicId: version === 12 ? `topic-ü${topic}` : ids[topic]!,
      partitions: targets
        .filter((one) => one.topicId === ids[topic])
        .map(({ partition, epoch, position, lastEpoch }) => ({
          partition,
          currentLeaderEpoch: epoch,
          fetchOffset: BigInt(position),
          lastFetchedEpoch: lastEpoch,
          partitionMaxBytes: limits.partitionMaxBytes,
        })),
    }))
    const theirs = api.createRequest(500, 1, limits.maxBytes, 1, 0, -1, topics, [], '')
    assert.deepEqual(requestBytes(fetchApi, { targets, limits }, version), theirs.buffer)
  })
}

const records = Buffer.alloc(61, 3)
const parts = [
  { partition: 5, errorCode: 0, records, aborted: [{ producerId: 7n, firstOffset: 2 ** 33 }] },
  { partition: 300, errorCode: 6, records: null, aborted: [] },
  { partition: 301, errorCode: 0, records: null, aborted: [] },
]

function answer(version: number): Buffer {
  return answerBytes(fetchApi, version, (to) => {
    to.int16(0).int32(0)
    to.array([0], (w, topic) => {
      if (version === 12) w.text(`topic-ü${topic}`)
      else w.uuid(ids[topic]!)
      w.array(parts, (w, { partition, errorCode, records, aborted }) => {
        w.int32(partition).int16(errorCode)
        w.int64(2 ** 40 + 7)
          .int64(2 ** 40 + 3)
          .int64(0)
        w.array(aborted, (w, { producerId, firstOffset }) => w.bigint64(producerId).int64(firstOffset).tags())
        w.int32(-1).blob(records)
        // Tagged fields, as a broker has them for a partition that moved: the leader and its term.
        if (partition === 301) {
          // The log was cut (KIP-320): the last term in common, where it ends, and an unknown field in it; then the leader.
          w.unsigned(2)
            .unsigned(0)
            .unsigned(13)
            .int32(4)
            .int64(2 ** 33)
          w.int8(0).unsigned(1).unsigned(9).int32(2).int32(8).int8(0)
        } else if (errorCode === 0) w.tags()
        else w.unsigned(1).unsigned(1).unsigned(9).int32(2).int32(8).int8(0)
      })
      w.tags()
    })
    to.tags()
  })
}

for (const version of versionsOf(fetchApi)) {
  test(`an answer of version ${version} names its topics as metadata does, and says where the log ends`, () => {
    const { errorCode, byId, partitions } = readAnswer(fetchApi, answer(version), version)
    const topic = version === 12 ? 'topic-ü0' : ids[0]
    const ends = { highWatermark: 2 ** 40 + 7, lastStable: 2 ** 40 + 3 }
    const nothing = { aborted: undefined, records: undefined, diverging: undefined }
    assert.deepEqual([errorCode, byId], [0, version > 12])
    assert.deepEqual(partitions, [
      {
        topic,
        partition: 5,
        errorCode: 0,
        ...ends,
        aborted: [{ producerId: 7n, firstOffset: 2 ** 33 }],
        records,
        diverging: undefined,
      },
      { topic, partition: 300, errorCode: 6, ...ends, ...nothing },
      {
        topic,
        partition: 301,
        errorCode: 0,
        ...ends,
        ...nothing,
        diverging: { epoch: 4, endOffset: 2 ** 33 },
      },
    ])
  })
}

test('records are left where they came', () => {
  const bytes = answer(17)
  const [part] = readAnswer(fetchApi, bytes, 17).partitions
  assert.equal(part!.records!.buffer, bytes.buffer)
})
