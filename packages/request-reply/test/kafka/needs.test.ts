/** Brokers that are too old for what is asked of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import type { TransportError } from '../../src/errors.ts'
import { openKafka } from '../../src/transport/kafka/kafka-transport.ts'
import { MemberLog } from '../../src/testing/collector.ts'
import { startOlderBroker } from './older-broker.ts'

const [produce, offsetFetch, deleteTopics] = [0, 9, 20]

const isTooOld =
  (...parts: RegExp[]) =>
  (error: TransportError): boolean => {
    assert.equal(error.code, 'MILENA_BROKER_ERROR')
    assert.equal(error.retryable, false)
    for (const part of [...parts, /Apache Kafka 3\.0 or newer is needed/]) assert.match(error.message, part)
    return true
  }

test('a broker that is too old is refused when a transport opens, with everything that it lacks', async () => {
  await using real = await startEmbeddedKafka()
  const newest = new Map([
    [produce, 8],
    [deleteTopics, -1],
  ])
  await using older = await startOlderBroker(real, () => newest)
  await assert.rejects(
    openKafka({ brokers: [older.address] }),
    isTooOld(
      new RegExp(`broker ${older.address} cannot do`),
      /Produce: this client speaks versions 9 to \d+, broker \S+ offers \d to 8;/,
      /DeleteTopics: .* broker \S+ does not offer it/,
    ),
  )
})

test('a coordinator that is too old for a member is refused when it joins, before it has joined', async () => {
  await using real = await startEmbeddedKafka({ topics: ['work:2'] })
  // As Apache Kafka 2.8, with which a member would join and never learn where its partitions begin.
  const newest = new Map([[offsetFetch, 7]])
  await using older = await startOlderBroker(real, () => newest)
  await using transport = await openKafka({ brokers: [older.address] })
  const member = new MemberLog('m')
  const options = member.options({ groupId: 'workers', topics: ['work'] })
  await assert.rejects(
    transport.join(options),
    isTooOld(
      /join group workers: /,
      /OffsetFetch: this client speaks versions 8 .*, broker \S+ offers \d to 7/,
    ),
  )
  assert.deepEqual(member.events, [])
})
