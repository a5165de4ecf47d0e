import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  fetchV12,
  fetchV13,
  fetchV14,
  fetchV15,
  fetchV16,
  fetchV17,
  Reader,
  type Writer,
} from '@platformatic/kafka'
import type { Link } from '../../src/transport/kafka/cluster/connections.ts'
import { sendFetch, type FetchAnswer, type FetchTarget } from '../../src/transport/kafka/reading/fetch-api.ts'

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

interface Sent {
  readonly body: Buffer
  readonly parse: (correlationId: number, key: number, version: number, reader: Reader) => FetchAnswer
}

/** What goes out in one version. */
function send(version: number, targets: readonly FetchTarget[]): Sent {
  let sent: Sent | undefined
  const connection = {
    send(_key: number, _version: number, payload: () => Writer, parse: Sent['parse']) {
      sent = { body: payload().buffer, parse }
    },
  }
  const pick = (table: { versions: Record<number, unknown> }) => ({ version, api: table.versions[version] })
  sendFetch({ connection, pick } as unknown as Link, targets, limits, () => {})
  return sent!
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
    assert.deepEqual(send(version, targets).body, theirs.buffer)
  })
}

test('an answer names its topics as metadata does, by id, and says where the log ends', () => {
  const head = Buffer.alloc(10)
  const id = Buffer.from(ids[0].replaceAll('-', ''), 'hex')
  const partition = Buffer.alloc(4 + 2 + 24)
  partition.writeInt32BE(5, 0)
  partition.writeBigInt64BE(2n ** 40n + 7n, 6)
  partition.writeBigInt64BE(2n ** 40n + 3n, 14)
  const rest = Buffer.concat([Buffer.of(0), Buffer.alloc(4), Buffer.of(0), Buffer.of(0)])
  const bytes = Buffer.concat([head, Buffer.of(2), id, Buffer.of(2), partition, rest, Buffer.of(0, 0)])
  const answer = send(17, targets).parse(1, 1, 17, Reader.from(bytes))
  assert.deepEqual(
    answer.partitions.map((one) => [one.topic, one.partition, one.highWatermark, one.lastStable]),
    [[ids[0], 5, 2 ** 40 + 7, 2 ** 40 + 3]],
  )
})
