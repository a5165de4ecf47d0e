/** Requests to a broker that hangs end when another one has taken its place, however long they might yet take. */
import assert from 'node:assert/strict'
import { after, before, describe, mock, test, type TestContext } from 'node:test'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import { Connections } from '../../src/transport/kafka/connection/connections.ts'
import { whileCoordinator } from '../../src/transport/kafka/cluster/coordinator.ts'
import { Metadata, type Leader } from '../../src/transport/kafka/cluster/metadata.ts'
import { resolveKafkaOptions } from '../../src/transport/kafka/options.ts'
import { findOffsets } from '../../src/transport/kafka/reading/offsets.ts'
import { startSilentBroker } from './stub-brokers.ts'

/** Longer than any test: only another broker ends a request. */
const FOREVER = 3_600_000

let broker: EmbeddedKafka
before(async () => {
  broker = await startEmbeddedKafka({ topics: ['t:2'] })
})
after(() => broker.close())

function open(t: TestContext): { readonly metadata: Metadata; readonly connections: Connections } {
  const { brokers } = broker
  const connections = new Connections(resolveKafkaOptions({ brokers, connectTimeout: FOREVER }))
  const metadata = new Metadata(connections)
  metadata.watch('t')
  t.after(async () => {
    await metadata.close()
    await connections.close()
  })
  return { metadata, connections }
}

describe('a broker that hangs', () => {
  test('does not keep the offsets of a partition that has another leader by now', async (t) => {
    await using silent = await startSilentBroker()
    const { metadata, connections } = open(t)
    await metadata.refresh()
    const [host, port] = silent.address.split(':') as [string, string]
    const former: Leader = { node: { id: 99, host, port: Number(port) }, epoch: 0 }
    let answers = 0
    metadata.onChange(() => answers++)
    const leader = metadata.leader.bind(metadata)
    mock.method(metadata, 'leader', (topic: string, partition: number) =>
      answers < 2 && partition === 1 ? former : leader(topic, partition),
    )
    const partitions = [0, 1].map((partition) => ({ topic: 't', partition }))
    const source = { metadata, pool: connections.open(FOREVER), signal: new AbortController().signal }
    assert.deepEqual(await findOffsets(source, partitions, 'latest'), [0, 0])
    assert.equal(silent.connections, 1)
  })

  test('does not keep a request to the coordinator once another broker is that', async (t) => {
    const { metadata } = open(t)
    const former = { host: '127.0.0.1', port: 1 }
    const never = new Promise<never>(() => undefined)
    await assert.rejects(
      whileCoordinator(metadata, 'g', former, never),
      new RegExp(`group g: the coordinator was 127\\.0\\.0\\.1:1, now it is 127\\.0\\.0\\.1:${broker.port}`),
    )
  })

  test('is waited for while a single broker, which lags behind, names another coordinator', async () => {
    const former = { host: 'former', port: 1 }
    const now = { host: 'now', port: 2 }
    const asked: unknown[] = []
    // Each is asked in its turn; one of the two lags behind.
    const metadata = {
      askAny: (what: string) =>
        Promise.resolve({ errorCode: 0, id: 1, ...(asked.push(what) % 2 === 1 ? former : now) }),
    } as unknown as Metadata
    const answer = Promise.withResolvers<string>()
    const waiting = whileCoordinator(metadata, 'g', now, answer.promise)
    const outcome = waiting.catch(() => 'cut')
    while (asked.length < 4) {
      const isOver = await Promise.race([outcome, new Promise((resolve) => setImmediate(resolve))])
      assert.equal(isOver, undefined, 'the request was given up')
    }
    answer.resolve('an answer')
    assert.equal(await waiting, 'an answer')
  })

  test('is waited for as long as it is the coordinator, and nobody is asked when it answers', async (t) => {
    const { metadata } = open(t)
    const now = { host: '127.0.0.1', port: broker.port }
    const asked = mock.method(metadata, 'askAny')
    const answer = Promise.withResolvers<string>()
    const waiting = whileCoordinator(metadata, 'g', now, answer.promise)
    while (asked.mock.callCount() < 2) await new Promise(setImmediate)
    answer.resolve('an answer')
    assert.equal(await waiting, 'an answer')
    const count = asked.mock.callCount()
    assert.equal(await whileCoordinator(metadata, 'g', now, Promise.resolve('at once')), 'at once')
    assert.equal(asked.mock.callCount(), count)
  })
})
