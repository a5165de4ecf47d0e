/** Requests to a broker that hangs end when another one has taken its place, however long they might yet take. */
import assert from 'node:assert/strict'
import { after, before, describe, mock, test, type TestContext } from 'node:test'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import { AnyBroker } from '../../src/transport/kafka/cluster/any-broker.ts'
import {
  Connections,
  type BrokerAddress,
  type BrokerPool,
} from '../../src/transport/kafka/connection/connections.ts'
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

const at = (host: string): BrokerAddress => ({ host, port: 1 })

/**
 * Three brokers, `now`, `late` and `other`, and a bootstrap address that leads to `late` too. Whoever is asked at `late` says
 * that it coordinates every group, the others say that `now` does.
 */
function cluster({ suspects = [], down = [] }: { suspects?: readonly string[]; down?: readonly string[] }): {
  readonly metadata: Metadata
  readonly asked: readonly string[]
} {
  const advertised = ['late', 'now', 'other']
  const asked: string[] = []
  const pool = {
    get: async (broker: BrokerAddress) => {
      if (down.includes(broker.host)) throw new Error('refused')
      const coordinator = broker.host === 'late' || broker.host === 'bootstrap' ? 'late' : 'now'
      const ask = (): Promise<unknown> => {
        asked.push(broker.host)
        return Promise.resolve({ errorCode: 0, id: 1, ...at(coordinator) })
      }
      return { broker, ask }
    },
  } as unknown as BrokerPool
  const known = ['late', 'bootstrap', 'other', 'now'].map(at)
  const any = new AnyBroker(pool, () => known, new AbortController().signal)
  for (const host of suspects) any.blame(at(host))
  const metadata = {
    askAny: any.ask.bind(any),
    isAdvertised: ({ host }: BrokerAddress) => advertised.includes(host),
  } as unknown as Metadata
  return { metadata, asked }
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
    await metadata.refresh()
    const former = { host: '127.0.0.1', port: 1 }
    const never = new Promise<never>(() => undefined)
    await assert.rejects(
      whileCoordinator(metadata, 'g', former, never),
      new RegExp(`group g: the coordinator was 127\\.0\\.0\\.1:1, now it is 127\\.0\\.0\\.1:${broker.port}`),
    )
  })

  for (const [what, suspects] of [
    ['under both of its names', []],
    ['while the others failed of late', ['now', 'other']],
  ] as const) {
    test(`is waited for when a single broker, which lags behind, names another one, ${what}`, async () => {
      const { metadata, asked } = cluster({ suspects })
      const answer = Promise.withResolvers<string>()
      const waiting = whileCoordinator(metadata, 'g', at('now'), answer.promise)
      const outcome = waiting.catch(() => 'given up')
      // Its word, and what was made of it.
      while (asked.length < 6) {
        const isOver = await Promise.race([outcome, new Promise((resolve) => setImmediate(resolve))])
        assert.equal(isOver, undefined, `asked: ${asked.join(', ')}`)
      }
      assert.ok(asked.includes('late'), asked.join(', '))
      answer.resolve('an answer')
      assert.equal(await waiting, 'an answer')
    })
  }

  test('does not keep a request when the only broker that answers is the coordinator now', async () => {
    const { metadata } = cluster({ down: ['now', 'other'] })
    const never = new Promise<never>(() => undefined)
    await assert.rejects(whileCoordinator(metadata, 'g', at('now'), never), /was now:1, now it is late:1/)
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
