/** What members tell one another, against another client's codec. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  decodeConsumerProtocolAssignment,
  decodeConsumerProtocolSubscription,
  encodeConsumerProtocolAssignment,
  encodeConsumerProtocolSubscription,
} from '@platformatic/kafka'
import {
  readAssignment,
  readSubscription,
  writeAssignment,
  writeSubscription,
} from '../../src/transport/kafka/protocol/consumer-protocol.ts'
import type { TopicPartition } from '../../src/transport/transport.ts'

const of = (topic: string, ...partitions: number[]): TopicPartition[] =>
  partitions.map((partition) => ({ topic, partition }))
const subscription = { topics: ['a', 'ü'], owned: [...of('a', 0, 2), ...of('ü', 70_000)], generation: 7 }
const ownedPartitions = [
  { topic: 'a', partitions: [0, 2] },
  { topic: 'ü', partitions: [70_000] },
]

describe('the consumer protocol', () => {
  test('subscriptions and assignments have the bytes of another encoder, and are read by its decoder', () => {
    const theirs = { version: 3, topics: ['a', 'ü'], ownedPartitions, generationId: 7, rackId: null }
    assert.deepEqual(writeSubscription(subscription), encodeConsumerProtocolSubscription(theirs))
    const read = decodeConsumerProtocolSubscription(writeSubscription(subscription))
    assert.deepEqual([read.ownedPartitions, read.generationId], [ownedPartitions, 7])
    const assigned = writeAssignment(subscription.owned)
    assert.deepEqual(
      assigned,
      encodeConsumerProtocolAssignment({ version: 3, assignedPartitions: ownedPartitions }),
    )
    assert.deepEqual(decodeConsumerProtocolAssignment(assigned).assignedPartitions, ownedPartitions)
  })

  test('what is written is read', () => {
    assert.deepEqual(readSubscription(writeSubscription(subscription)), subscription)
    assert.deepEqual(readAssignment(writeAssignment(subscription.owned)), subscription.owned)
    assert.deepEqual(readAssignment(Buffer.alloc(0)), [])
  })

  test('older versions say less: nothing owned in 0, the generation in the user data up to 1', () => {
    const userData = Buffer.of(0, 0, 0, 9)
    const older = (version: number) =>
      readSubscription(
        encodeConsumerProtocolSubscription({
          version,
          topics: ['a'],
          userData,
          ownedPartitions: [{ topic: 'a', partitions: [1] }],
          generationId: 12,
        }),
      )
    assert.deepEqual(older(0), { topics: ['a'], owned: [], generation: 9 })
    assert.deepEqual(older(1), { topics: ['a'], owned: of('a', 1), generation: 9 })
    assert.deepEqual(older(2), { topics: ['a'], owned: of('a', 1), generation: 12 })
  })

  test('a member that names version 3 and writes version 0 is understood; one that is cut off is not', () => {
    const short = Buffer.from('00030000000100016100000000', 'hex')
    assert.deepEqual(readSubscription(short), { topics: ['a'], owned: [], generation: -1 })
    const whole = writeSubscription(subscription)
    const fields = [0, 1, 2].map((cut) => whole.length - 6 - cut)
    for (const end of fields.slice(1)) assert.throws(() => readSubscription(whole.subarray(0, end)))
  })

  test('no prefix and no noise hangs or takes memory', () => {
    const whole = writeSubscription(subscription)
    for (let end = 0; end < 12; end++) assert.throws(() => readSubscription(whole.subarray(0, end)))
    for (let end = 1; end < 2; end++) assert.throws(() => readAssignment(whole.subarray(0, end)))
    const huge = Buffer.from('00037fffffff', 'hex')
    assert.throws(() => readSubscription(huge))
    assert.throws(() => readAssignment(huge))
  })
})
