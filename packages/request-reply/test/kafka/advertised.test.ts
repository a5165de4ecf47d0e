/** Brokers that cannot be reached where they say that they are. */
import assert from 'node:assert/strict'
import { after, before, describe, mock, test } from 'node:test'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import { defineOperation } from '../../src/contract/operation.ts'
import { json } from '../../src/contract/payload.ts'
import type { MilenaError } from '../../src/errors.ts'
import { createReplier } from '../../src/replier/replier.ts'
import { createRequester } from '../../src/requester/requester.ts'
import { replyPartition } from '../../src/routing/reply-partition.ts'
import { AdvertisedAddresses } from '../../src/transport/kafka/cluster/advertised.ts'
import type { BrokerAddress } from '../../src/transport/kafka/connection/connection.ts'
import { BrokerPool } from '../../src/transport/kafka/connection/connections.ts'
import { openKafka } from '../../src/transport/kafka/open-kafka.ts'
import type { Trouble } from '../../src/transport/transport.ts'
import { until } from './until.ts'

const ask = defineOperation({ name: 'ask', topic: 'asked', request: json<number>(), reply: json<number>() })

describe('brokers that cannot be reached where they say that they are', () => {
  let broker: EmbeddedKafka
  before(async () => {
    // A reserved name (RFC 2606): nobody resolves it.
    broker = await startEmbeddedKafka({ advertisedHost: 'kafka.invalid', topics: ['asked:1', 'replies:1'] })
  })
  after(() => broker.close())

  const refusal = (error: MilenaError): boolean => {
    assert.equal(error.code, 'MILENA_BROKER_UNREACHABLE')
    const { port } = broker
    assert.match(
      error.message,
      new RegExp(
        `127\\.0\\.0\\.1:${port} answered, and calls its broker kafka\\.invalid:${port}, which cannot be reached`,
      ),
    )
    assert.match(
      error.message,
      /\(broker kafka\.invalid:\d+: .*(ENOTFOUND|EAI_AGAIN).*\); check advertised\.listeners/,
    )
    return true
  }
  const kafka = (): { brokers: string[] } => ({ brokers: [`127.0.0.1:${broker.port}`] })

  test('are named when a requester, a replier or a transport opens, with the reason and the setting', async () => {
    const replier = createReplier({ kafka: kafka(), groupId: 'g' })
    replier.handle(ask, (value) => value)
    await Promise.all([
      assert.rejects(openKafka(kafka()), refusal),
      assert.rejects(
        createRequester({ kafka: kafka(), replyRouting: replyPartition({ topic: 'replies' }) }),
        refusal,
      ),
      assert.rejects(replier.start(), refusal),
    ])
    await replier.close()
  })
})

describe('addresses that are advertised', () => {
  const [one, other] = ['one', 'other'].map((host) => ({ host, port: 9092 }))
  const told = { by: { host: 'bootstrap', port: 1 }, nodes: [one!, other!] }

  test('are sound as long as one of them can be reached: the others are down', async () => {
    const addresses = new AdvertisedAddresses(
      async ({ host }: BrokerAddress) => {
        if (host === 'one') throw new Error('connect ECONNREFUSED')
      },
      () => assert.fail('nothing to tell'),
    )
    assert.equal(await addresses.try(told), 'reached')
    assert.equal(addresses.problem, undefined)
  })

  test('are in doubt at first, and a problem until one can be reached when they last: a broker may be starting', async () => {
    let reachable = false
    let changes = 0
    const addresses = new AdvertisedAddresses(
      async ({ host }) => {
        if (!reachable) throw new Error(`no way to ${host}`)
      },
      () => changes++,
    )
    assert.equal(await addresses.try(told), 'doubtful')
    await until('it is more than a doubt', () => {
      void addresses.try(told)
      return addresses.problem !== undefined
    })
    assert.match(
      addresses.problem!.message,
      /^bootstrap:1 answered, and calls its brokers one:9092, other:9092, none of which can be reached.*one:9092: no way to one; other:9092: no way to other/,
    )
    reachable = true
    await addresses.try(told) // the one under way
    assert.equal(await addresses.try(told), 'reached')
    assert.equal(addresses.problem, undefined)
    assert.equal(changes, 2)
  })
})

test('addresses that cannot be reached any more are a trouble of what is read, until they can', async (t) => {
  const broker = await startEmbeddedKafka({ advertisedHost: 'localhost', topics: ['t:1'] })
  t.after(() => broker.close())
  const pools = new Set<BrokerPool>()
  let broken = false
  const get = Reflect.get(BrokerPool.prototype, 'get') as (
    this: BrokerPool,
    at: BrokerAddress,
  ) => Promise<unknown>
  mock.method(BrokerPool.prototype, 'get', function (this: BrokerPool, at: BrokerAddress) {
    pools.add(this)
    return broken && at.host === 'localhost' ? Promise.reject(new Error('no way there')) : get.call(this, at)
  })
  t.after(() => mock.restoreAll())
  const transport = await openKafka({ brokers: [`127.0.0.1:${broker.port}`] })
  t.after(() => transport.close())
  let troubles: readonly Trouble[] = []
  const errors: Error[] = []
  await transport.tail({
    topic: 't',
    partitions: 'all',
    from: 'latest',
    onRecords: () => undefined,
    onTrouble: (list) => (troubles = list),
    onError: (error) => errors.push(error),
  })
  broken = true
  for (const pool of pools) pool.cut({ host: 'localhost', port: broker.port })
  await until('a trouble', () => troubles.length > 0)
  assert.deepEqual(
    troubles.map(({ kind, topic }) => [kind, topic]),
    [['unreachable', undefined]],
  )
  assert.match(
    troubles[0]!.error.message,
    /calls its broker localhost:\d+, which cannot.*advertised\.listeners/,
  )
  assert.deepEqual(errors, [troubles[0]!.error])
  const opening = { topic: 't', partitions: 'all', from: 'latest', onRecords: () => undefined } as const
  await assert.rejects(transport.tail(opening), { message: troubles[0]!.error.message })
  broken = false
  await until('the end of it', () => troubles.length === 0)
})
