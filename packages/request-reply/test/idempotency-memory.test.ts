import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeIdempotencyContract } from './idempotency-contract.ts'
import { answersFromTheStore } from './idempotency-cases.ts'
import { describeIdempotencyKills } from './idempotency-kills-contract.ts'
import { memoryIdempotencyStore } from '../src/idempotency/memory-store.ts'
import { createMemoryBroker } from '../src/testing.ts'
import type { ClaimOptions, IdempotencyId } from '../src/idempotency/store.ts'
import { ManualClock } from './manual-clock.ts'

const target = {
  open: async () => {
    const clock = new ManualClock()
    const store = memoryIdempotencyStore({ clock })
    return {
      one: store,
      two: store,
      pass: async (time: number) => clock.jump(time),
      close: async () => undefined,
    }
  },
}

describeIdempotencyContract('memory', target)
describeIdempotencyKills('memory', target)

test('a redelivery gets the stored reply, however late', async (t) => {
  const broker = createMemoryBroker({
    topics: [
      { name: 'pay_request', partitions: 1 },
      { name: 'pay_reply', partitions: 2 },
    ],
  })
  await answersFromTheStore({
    requests: 'pay_request',
    replies: 'pay_reply',
    sessionTimeout: 500,
    connect: async () => {
      const transport = broker.connect()
      t.after(() => transport.close())
      return { transport, die: () => transport.kill() }
    },
  })
})

const hour = 3_600_000
const claiming: ClaimOptions = { fingerprint: 'a'.repeat(64), owner: 'one', lease: hour, ttl: hour }
const id = (key: number): IdempotencyId => ({ scope: 's', key: String(key) })

test('beyond its bounds it forgets what was changed longest ago, says so, and never a claim', async () => {
  const clock = new ManualClock()
  for (const bounds of [{ maxEntries: 10 }, { maxBytes: 10_000 }]) {
    const store = memoryIdempotencyStore({ ...bounds, clock })
    const held = await store.claim(id(-1), claiming)
    assert.ok(held.kind === 'claimed')
    for (let key = 0; key < 100; key++) {
      const claim = await store.claim(id(key), claiming)
      assert.ok(claim.kind === 'claimed')
      clock.jump(10)
      await store.complete(id(key), claim.token, { kind: 'done' }, hour)
    }
    const { entries, bytes, dropped, running } = store.stats()
    assert.ok(entries <= 100 && entries >= 10, `${entries}`)
    assert.ok(bytes <= 10_000 || 'maxEntries' in bounds, `${bytes}`)
    assert.equal(dropped, 101 - entries)
    assert.equal(running, 1)
    assert.equal((await store.find(id(-1))).kind, 'running')
    const last = await store.find(id(99))
    const first = await store.find(id(0))
    assert.ok(last.kind === 'stored' && first.kind === 'nothing')
    assert.ok(first.knowsSince! > clock.now() - 1_000 && first.knowsSince! <= last.storedAt)
  }
})

test('full of claims it takes no more, and takes them again when one has ended', async () => {
  const clock = new ManualClock()
  const store = memoryIdempotencyStore({ maxEntries: 2, clock })
  const claims = [await store.claim(id(1), claiming), await store.claim(id(2), claiming)]
  await assert.rejects(store.claim(id(3), claiming), { code: 'MILENA_OVERLOADED' })
  const [first] = claims
  assert.ok(first?.kind === 'claimed')
  await store.complete(id(1), first.token, { kind: 'done' }, hour)
  assert.equal((await store.claim(id(3), claiming)).kind, 'claimed')
})

test('what it knows does not grow with the time it runs', async () => {
  const clock = new ManualClock()
  const store = memoryIdempotencyStore({ clock })
  for (let key = 0; key < 2_000; key++) {
    const claim = await store.claim(id(key), { ...claiming, ttl: 1_000 })
    assert.ok(claim.kind === 'claimed')
    await store.complete(id(key), claim.token, { kind: 'done' }, 1_000)
    clock.jump(100)
  }
  const { entries, dropped } = store.stats()
  assert.ok(entries <= 10, `${entries}`)
  assert.equal(dropped, 0)
})
