import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { AnyBroker } from '../../src/transport/kafka/cluster/any-broker.ts'
import type { BrokerAddress, BrokerConnection } from '../../src/transport/kafka/connection/connection.ts'
import type { BrokerPool } from '../../src/transport/kafka/connection/connections.ts'

const brokers = ['hung', 'well', 'other'].map((host) => ({ host, port: 9092 }))

/** `hung` connects and never answers; each of `down` is refused at once. */
function asking(down: readonly string[] = [], signal = new AbortController().signal) {
  const pool = {
    get: async (broker: BrokerAddress) => {
      if (down.includes(broker.host)) throw new Error(`connect ECONNREFUSED ${broker.host}`)
      return { broker } as BrokerConnection
    },
  } as unknown as BrokerPool
  const any = new AnyBroker(pool, () => brokers, signal)
  const asked: string[] = []
  const ask = (): Promise<string> =>
    any.ask('a question', ({ broker: { host } }) => {
      asked.push(host)
      return host === 'hung' ? new Promise(() => undefined) : Promise.resolve(host)
    })
  return { any, asked, ask }
}

describe('something that any broker can answer', () => {
  test('is asked of the next one beside a broker that hangs, and that one is asked last from then on', async () => {
    const { asked, ask } = asking()
    assert.equal(await ask(), 'well')
    assert.deepEqual(asked, ['hung', 'well'])
    for (let i = 0; i < 6; i++) await ask()
    assert.equal(asked.filter((host) => host === 'hung').length, 1)
  })

  test('is asked at once of the next one when a broker is down', async () => {
    const { any, ask } = asking(['hung', 'well'])
    assert.equal(await ask(), 'other')
    assert.deepEqual(
      brokers.map((broker) => any.suspects(broker)),
      [true, true, false],
    )
    any.absolve(brokers[0]!)
    assert.equal(any.suspects(brokers[0]!), false)
  })

  test('fails when none is left, with the addresses and the reason', async () => {
    await assert.rejects(asking(['hung', 'well', 'other']).ask(), {
      code: 'MILENA_BROKER_UNREACHABLE',
      message: /^no broker answered a question at hung:9092, well:9092, other:9092 \(connect ECONNREFUSED/,
    })
  })

  test('fails as closed once that has begun', async () => {
    await assert.rejects(asking([], AbortSignal.abort()).ask(), { code: 'MILENA_CLOSED' })
  })
})
