/** When a claim is renewed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from './manual-clock.ts'
import { Lease } from '../src/idempotency/lease.ts'
import { memoryIdempotencyStore } from '../src/idempotency/memory-store.ts'

const lost = (): void => assert.fail('nobody has claimed it')

test('a claim is renewed at half of its lease, and where that fails twice more before it is over', async () => {
  const clock = new ManualClock()
  const begun = clock.monotonic()
  const asked: number[] = []
  let away = true
  const store = memoryIdempotencyStore({ clock })
  store.renew = async () => {
    asked.push(clock.monotonic() - begun)
    if (away) throw new Error('away')
    return true
  }
  const lease = new Lease(store, clock, { scope: 's', key: 'k' }, 1, 3_000, lost)
  for (let passed = 0; passed < 2_400; passed += 100) await clock.advance(100)
  away = false
  for (let passed = 0; passed < 2_600; passed += 100) await clock.advance(100)
  assert.deepEqual(asked, [1_500, 2_000, 2_500, 4_000])
  lease.end()
  await clock.advance(10_000)
  assert.equal(asked.length, 4)
})

test('a renewal that comes after its outcome was stored is no loss of the claim', async () => {
  const clock = new ManualClock()
  const store = memoryIdempotencyStore({ clock })
  const id = { scope: 's', key: 'k' }
  const claiming = { fingerprint: 'a'.repeat(64), owner: 'o', lease: 3_000, ttl: 60_000 }
  const claim = await store.claim(id, claiming)
  assert.ok(claim.kind === 'claimed')
  const losses: string[] = []
  const lease = new Lease(store, clock, id, claim.token, 3_000, () => losses.push('settling'))
  const other = new Lease(store, clock, id, claim.token, 3_000, () => losses.push('working'))
  lease.settle()
  await store.complete(id, claim.token, { kind: 'done' }, 60_000)
  await clock.advance(1_500)
  assert.deepEqual(losses, ['working'])
  lease.end()
  other.end()
})
