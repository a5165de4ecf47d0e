/**
 * `compression`, `linger` and `batchSize` as a producer's options have them, shown at the log: what stands in a batch is
 * read by a client that is not ours, and the text of it by Apache Kafka's own consumer.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  createRequester,
  defineOperation,
  sharedReplyTopic,
  string,
  type KafkaOptions,
  type Requester,
} from '@milena/request-reply'
import { Connection, fetchV11 } from '@platformatic/kafka'
import { runKafkaTool } from '../../tools/kafka/console.ts'
import { describeTopics, findLeader } from '../../tools/kafka/inspect.ts'
import { openTestCluster, type TestCluster } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'

let cluster: TestCluster
before(async () => {
  cluster = await openTestCluster()
})
after(() => cluster.close())

const lz4 = 3
/** Of a batch, before its records. */
const headBytes = 61

/** A batch as it stands in the log. */
interface Batch {
  readonly compression: number
  readonly values: readonly string[]
  /** Head and records, not compressed. */
  readonly bytes: number
}

/** The batches of a topic of one partition. */
async function batchesOf(topic: string): Promise<readonly Batch[]> {
  const leader = await findLeader(cluster.brokers[0]!, topic, 0)
  const { brokers } = await describeTopics(cluster.brokers[0]!, [topic])
  const { host, port } = brokers.find(({ nodeId }) => nodeId === leader)!
  const connection = new Connection('producer-options', { connectTimeout: 10_000, requestTimeout: 30_000 })
  try {
    await connection.connect(host, port)
    const most = 50 * 1024 * 1024
    const partition = { partition: 0, currentLeaderEpoch: -1, fetchOffset: 0n, lastFetchedEpoch: -1 }
    const partitions = [{ ...partition, partitionMaxBytes: most }]
    const asked = [{ topicId: topic, partitions }]
    const answer = await fetchV11.api.async(connection, 100, 0, most, 0, 0, -1, asked, [], '')
    const batches = answer.responses[0]?.partitions[0]?.records ?? []
    return batches.map(({ attributes, records }) => ({
      compression: attributes & 7,
      values: records.map(({ value }) => String(value)),
      bytes: records.reduce((sum, { length }) => sum + length + varintSize(length), headBytes),
    }))
  } finally {
    await connection.close()
  }
}

/** Bytes of a length before a record: a zigzag varint. */
function varintSize(length: number): number {
  return Math.ceil((Math.floor(Math.log2(length * 2)) + 1) / 7)
}

interface Shop {
  readonly requester: Requester
  readonly topic: string
  readonly send: (value: string, options?: { readonly signal?: AbortSignal }) => Promise<unknown>
  readonly ask: (value: string, timeout: number) => Promise<unknown>
}

async function open(kafka: Partial<KafkaOptions>, run: (shop: Shop) => Promise<void>): Promise<void> {
  const [topic, replies] = [await cluster.createTopic('coupons'), await cluster.createTopic('replies')]
  const operation = defineOperation({ name: 'gift', topic, request: string(), reply: string() })
  await using requester = await createRequester({
    kafka: { brokers: cluster.brokers, ...kafka },
    replyRouting: sharedReplyTopic({ topic: replies }),
    drainTimeout: 0,
  })
  await run({
    requester,
    topic,
    send: (value, options) => requester.send(operation, value, options),
    ask: (value, timeout) => requester.request(operation, value, { timeout }),
  })
}

/** A minute: nothing goes by its linger while a test runs. */
const forLong = { linger: 60_000, deliveryTimeout: 120_000 } as const
const document = { compression: 'lz4', linger: 50, batchSize: 16 * 1024 } as const

test('with the options of the document (lz4, 50 ms, 16 KiB) what is sent together stands in one batch, compressed, and Java reads it', async () => {
  await open(document, async ({ send, topic }) => {
    await send('warm up')
    const values = Array.from({ length: 40 }, (_, n) => `gift ${n} ${'for you '.repeat(5)}`.trim())
    await Promise.all(values.map((value) => send(value)))
    const batches = await batchesOf(topic)
    assert.deepEqual(
      batches.map(({ compression, values: { length } }) => [compression, length]),
      [
        [lz4, 1],
        [lz4, 40],
      ],
    )
    assert.deepEqual(batches[1]!.values, values)
    const { stdout, stderr } = await runKafkaTool('kafka-console-consumer', [
      '--bootstrap-server',
      cluster.brokers.join(','),
      '--topic',
      topic,
      '--from-beginning',
      '--max-messages',
      '41',
      '--timeout-ms',
      '120000',
    ])
    assert.deepEqual(stdout.split('\n').filter(Boolean), ['warm up', ...values], stderr)
  })
})

test('requests that come one after the other within the linger stand in one batch', async () => {
  await open({ ...document, linger: 2_000 }, async ({ send, topic }) => {
    await send('warm up')
    const sent: Promise<unknown>[] = []
    for (let n = 0; n < 5; n++) {
      sent.push(send(`gift ${n}`))
      // A turn of its own for each: without linger the first would be on its way.
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await Promise.all(sent)
    const [, ...batches] = await batchesOf(topic)
    assert.deepEqual(
      batches.flatMap(({ values }) => values),
      ['gift 0', 'gift 1', 'gift 2', 'gift 3', 'gift 4'],
    )
    assert.equal(batches.length, 1)
  })
})

test('a full batch goes at once, holds at most batchSize before compression, and one larger record goes alone', async () => {
  await open({ ...document, ...forLong }, async ({ send, topic }) => {
    const sent: Promise<unknown>[] = []
    const values = Array.from({ length: 100 }, (_, n) => String(n).padStart(1_000, 'x'))
    for (const value of values) sent.push(send(value))
    for (const one of sent) one.catch(() => undefined)
    const full = async (): Promise<readonly Batch[]> => {
      const batches = await batchesOf(topic)
      return batches.reduce((sum, { values: { length } }) => sum + length, 0) >= 80 ? batches : []
    }
    // 15 fit into 16 KiB, with their headers fewer: what is left over does not fill a batch, and waits.
    let batches: readonly Batch[] = []
    await waitFor(async () => (batches = await full()).length > 0, { what: 'the full batches' })
    for (const { bytes, compression } of batches) {
      assert.ok(bytes <= document.batchSize, `${bytes} bytes`)
      assert.ok(bytes > document.batchSize - 1_500, `${bytes} bytes, and one more would have fitted`)
      assert.equal(compression, lz4)
    }
    const before = batches.reduce((sum, { values: { length } }) => sum + length, 0)
    assert.ok(before < 100, 'what does not fill a batch waits for its linger')
    const large = 'L'.repeat(3 * document.batchSize)
    await send(large)
    const after = await batchesOf(topic)
    assert.deepEqual(after.find(({ values: [first] }) => first === large)?.values, [large])
    assert.deepEqual(
      after.flatMap((batch) => batch.values),
      [...values, large],
    )
  })
})

test('what lingers is taken back when its deadline comes, or its caller gives it up, and is not sent', async () => {
  await open({ ...document, ...forLong }, async ({ ask, send, topic, requester }) => {
    const stop = new AbortController()
    const given = send('given up', { signal: stop.signal })
    const isGiven = assert.rejects(given, { code: 'MILENA_CANCELLED', sent: 'no', effect: 'none' })
    await waitFor(() => requester.stats().sending === 1, { what: 'it to linger' })
    // By now the topic is known: this one lingers from the first.
    const late = ask('out of time', 300)
    stop.abort(new Error('enough'))
    await isGiven
    await assert.rejects(late, { code: 'MILENA_NOT_SENT', sent: 'no', effect: 'none' })
    assert.equal(requester.stats().sending, 0)
    assert.deepEqual(await batchesOf(topic), [])
  })
})
