/** Replies that the brokers do not take: how long they are tried, and whom they hold up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TransportError } from '../src/errors.ts'
import { ReplyShares } from '../src/replier/reply-shares.ts'
import { warningsOf } from './warned.ts'
import type { OutgoingRecord, RecordPosition, Transport } from '../src/transport/transport.ts'
import { execute, replied } from './executing.ts'
import { ManualClock } from './manual-clock.ts'

/** A transport whose replies wait until they are taken back, as those to a partition without a leader do. */
class Stalled {
  readonly waiting = new Map<OutgoingRecord, (error: Error) => void>()
  readonly withdrawn: OutgoingRecord[] = []
  stalled = true

  through(transport: Transport): Transport {
    return new Proxy(transport, {
      get: (target, name) => {
        if (name === 'send') return (record: OutgoingRecord) => this.#send(target, record)
        if (name === 'withdraw') return (record: OutgoingRecord) => this.#withdraw(record)
        const method: unknown = Reflect.get(target, name)
        return typeof method === 'function' ? method.bind(target) : method
      },
    })
  }

  #send(target: Transport, record: OutgoingRecord): Promise<RecordPosition> {
    if (!this.stalled) return target.send(record)
    return new Promise((_resolve, reject) => this.waiting.set(record, reject))
  }

  #withdraw(record: OutgoingRecord): boolean {
    this.withdrawn.push(record)
    this.waiting.get(record)?.(new TransportError('MILENA_NOT_SENT', 'taken back'))
    return this.waiting.delete(record)
  }
}

test('a reply is tried for replyTimeout when its request has no deadline, then taken back and passed over', async (t) => {
  const stalled = new Stalled()
  const { ask, clock, committed, counters, group } = await execute(t, replied, {
    through: (transport) => stalled.through(transport),
    replyTimeout: 60_000,
  })
  await ask('a')
  await clock.advance(59_000)
  assert.equal(stalled.withdrawn.length, 0)
  assert.equal(committed(), 0)
  await clock.advance(2_001)
  assert.equal(stalled.withdrawn.length, 1)
  assert.equal(counters.passedOver.get('reply-undeliverable'), 1)
  assert.equal(committed(), 1)
  assert.equal(group.inHand.bytes, 0)
  const [address] = group.health.undeliverable
  assert.equal(address?.topic, 'shop_reply')
  assert.equal(address?.partition, 0)
  assert.equal(address?.givenUp, 1)
  stalled.stalled = false
  await ask('b')
  await clock.advance(1)
  assert.deepEqual(group.health.undeliverable, [], 'it ends with the next reply that is acknowledged')
})

test('an address that acknowledges nothing is told at half of its share, and loses what is beyond it after 15 s', async (t) => {
  const stalled = new Stalled()
  const { ask, clock, counters, group, warned } = await execute(t, replied, {
    through: (transport) => stalled.through(transport),
    maxInHand: 40,
  })
  for (let i = 0; i < 14; i++) await ask(String(i))
  await clock.advance(1_000)
  assert.equal(warned.length, 0)
  await clock.advance(2_000)
  assert.equal(warned.length, 1)
  assert.equal(warned[0]!.message, 'replies to an address are not acknowledged')
  assert.equal(warned[0]!.details.share, 10)
  assert.equal(group.health.undeliverable[0]?.waiting, 14)
  await clock.advance(10_000)
  assert.equal(counters.passedOver.size, 0, 'an election costs no reply')
  await clock.advance(3_000)
  assert.equal(counters.passedOver.get('reply-undeliverable'), 4)
  await ask('one more')
  await clock.advance(1)
  assert.equal(counters.passedOver.get('reply-undeliverable'), 5, 'given up at once')
  assert.equal(group.unacknowledged, 10)
})

test('replies that wait for one sick address do not hold up requests of others', async (t) => {
  const stalled = new Stalled()
  const { ask, clock, group, counters } = await execute(t, replied, {
    through: (transport) => stalled.through(transport),
    maxInHand: 20,
  })
  const askMany = async (): Promise<void> => {
    for (let i = 0; i < 30; i++) {
      await ask(String(i))
      await clock.advance(1)
    }
  }
  await askMany()
  assert.equal(group.inHand.paused, 1)
  const read = counters.received
  await clock.advance(3_000)
  assert.ok(counters.received > read, 'it is read on')
  await askMany()
  assert.ok(group.inHand.records <= 42, 'no more than twice the bound, and what was on its way')
  assert.equal(group.inHand.paused, 1)
  assert.equal(counters.passedOver.size, 0)
})

test('whatever a transport fails with that it does not vouch for, the reply is tried again', async (t) => {
  let failures = 3
  const thrown = [
    new Error('socket hang up'),
    Object.assign(new Error('x'), { code: 'MILENA_TOPIC_MISSING' }),
    undefined,
  ]
  const { ask, clock, replies, committed, counters } = await execute(t, replied, {
    through: (transport) =>
      new Proxy(transport, {
        get(target, name) {
          const method: unknown = Reflect.get(target, name)
          if (name === 'send' && failures > 0) return () => Promise.reject(thrown[--failures])
          return typeof method === 'function' ? method.bind(target) : method
        },
      }),
  })
  await ask('a')
  await clock.advance(1_000)
  assert.deepEqual(replies(), ['a'])
  assert.equal(committed(), 1)
  assert.equal(counters.passedOver.size, 0)
})

test('an error reply that is too large goes without copied headers, and then without the key', async (t) => {
  const sizes: string[] = []
  let most = 2
  const { ask, clock, counters } = await execute(
    t,
    () => ({
      kind: 'error',
      code: 'NO',
      message: 'no',
      headers: [[Buffer.from('traceparent'), Buffer.alloc(100)]],
    }),
    {
      through: (transport) =>
        new Proxy(transport, {
          get(target, name) {
            const method: unknown = Reflect.get(target, name)
            if (name !== 'send') return typeof method === 'function' ? method.bind(target) : method
            return (record: OutgoingRecord) => {
              sizes.push(`${record.key === null ? 'no key' : 'key'} ${record.headers.length}`)
              if (most-- > 0)
                return Promise.reject(new TransportError('MILENA_RECORD_TOO_LARGE', 'too large'))
              return target.send(record)
            }
          },
        }),
    },
  )
  await ask('a', 'a-key')
  await clock.advance(1)
  assert.deepEqual(sizes, ['key 4', 'key 3', 'no key 3'])
  assert.equal(counters.replied, 1)
  most = 3
  await ask('b', 'a-key')
  await clock.advance(1)
  assert.equal(counters.passedOver.get('reply-undeliverable'), 1)
})

test('no address is kept that nothing is under way to, but for those in trouble, of which there are few', () => {
  const clock = new ManualClock()
  const shares = new ReplyShares(10, clock, warningsOf(clock))
  for (let i = 0; i < 5_000; i++) {
    const share = shares.enter({ topic: `t${i}`, partition: 0 }, 0)
    shares.failed(share, new Error('no such topic'), true)
    shares.leave(share)
  }
  assert.equal(shares.undeliverable.length, 100)
  shares.look(0)
  assert.equal(shares.size, 100)
})
