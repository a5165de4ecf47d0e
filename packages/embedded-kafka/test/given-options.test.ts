/** The broker's options: what is wrong with them is refused in its own words, with a code. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EmbeddedKafkaOptions, TopicInput } from '@milena/embedded-kafka'
import * as all from '@milena/embedded-kafka'
import {
  functionsOf,
  refuseUnlisted,
  refuseWrongOptions,
  takes,
  type TakesOptions,
} from '../../../test/support/given-options.ts'

const code = 'EMBEDDED_KAFKA_OPTIONS_INVALID'
const isRefusal = (error: unknown): boolean =>
  error instanceof RangeError && (error as { readonly code?: unknown }).code === code

const table: readonly TakesOptions[] = [
  takes<EmbeddedKafkaOptions>(
    'startEmbeddedKafka',
    all.startEmbeddedKafka,
    {
      host: '127.0.0.1',
      port: 0,
      advertisedHost: '127.0.0.1',
      advertisedPort: 9092,
      clusterId: 'a',
      nodeId: 1,
      topics: ['a:2', { name: 'b', partitions: 1, configs: { 'retention.ms': 1_000 } }],
      autoCreateTopics: false,
      defaultPartitions: 1,
      topicDefaults: {},
      groups: { maxGroups: 10 },
      maxLogBytes: 1_000_000,
      retentionCheckMs: 1_000,
      maxConnections: 10,
      idleTimeoutMs: 1_000,
      requestTimeoutMs: 1_000,
      maxRequestBytes: 1_000_000,
      maxQueuedBytes: 1_000_000,
      maxRequestElements: 1_000,
      maxUnpackedBytes: 1_000_000,
      maxResponseBytes: 1_000_000,
      maxUnsentBytes: 1_000_000,
      report: () => undefined,
      warn: () => undefined,
    },
    { optional: true },
  ),
]

refuseUnlisted('index.ts', functionsOf(all), table, ['ProtocolError'])
refuseWrongOptions(table, { isRefusal, isOwn: (error) => isRefusal(error) || isSystems(error) })

test('a text that is empty is not called one of a wrong kind', async () => {
  await assert.rejects(all.startEmbeddedKafka({ host: '' }), /host must be a text that is not empty$/)
})

test('a topic that is none is refused, at the start and later', async () => {
  await using broker = await all.startEmbeddedKafka()
  for (const topic of [null, 7, [], {}, { name: 'a', partition: 3 }, 'a:b', { name: 7 }] as TopicInput[]) {
    await assert.rejects(all.startEmbeddedKafka({ topics: [topic] }), isRefusal)
    assert.throws(() => broker.createTopic(topic), isRefusal)
  }
})

/** Port 7 is not ours to listen at, and no host is called "text". */
function isSystems(error: unknown): boolean {
  return (
    error instanceof Error &&
    ['EACCES', 'ENOTFOUND', 'EAI_AGAIN'].includes((error as { code?: string }).code ?? '')
  )
}
