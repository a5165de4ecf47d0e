/**
 * What every idempotency store must do. The stores in memory, in PostgreSQL and in Redis all pass it. Import it from the
 * test of a store:
 *
 *     describeIdempotencyContract('memory', { open: … })
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, describe, test } from 'node:test'
import type { StoredOutcome } from '../src/contract/stored-outcome.ts'
import type { RawHeader } from '../src/wire/headers.ts'
import type { ClaimOptions, IdempotencyId, IdempotencyStore } from '../src/idempotency/store.ts'

/** A store as two processes see it, and time as it sees it. */
export interface ContractStore {
  readonly one: IdempotencyStore
  readonly two: IdempotencyStore
  /** Lets so many milliseconds pass, by the store's clock: a manual clock's `advance`, or waiting. */
  readonly pass: (milliseconds: number) => Promise<void>
  close(): Promise<void>
}

export interface IdempotencyTarget {
  open(): Promise<ContractStore>
  /** A lease and a time to live that are short for `pass`, and long for a step of the store, in milliseconds. Default 300. */
  readonly short?: number
}

const content = 'a'.repeat(64)
const otherContent = 'b'.repeat(64)
const headers: readonly RawHeader[] = [
  [Buffer.from('trace'), Buffer.from([0xfe, 0])],
  [Buffer.from('trace'), null],
]
const reply: StoredOutcome = { kind: 'reply', value: Buffer.from([0, 1, 0xff, 0x0a]), headers }
const another: StoredOutcome = { kind: 'reply', value: Buffer.from('another'), headers: [] }

export function describeIdempotencyContract(name: string, target: IdempotencyTarget): void {
  describe(`idempotency store contract: ${name}`, () => {
    const short = target.short ?? 300
    const long = 3_600_000
    const opened: ContractStore[] = []
    afterEach(async () => {
      for (const store of opened.splice(0)) await store.close()
    })
    const open = async (): Promise<ContractStore> => {
      const store = await target.open()
      opened.push(store)
      return store
    }
    const claiming = (options: Partial<ClaimOptions> = {}): ClaimOptions => ({
      fingerprint: content,
      owner: 'one',
      lease: long,
      ttl: long,
      ...options,
    })
    const claimed = async (store: IdempotencyStore, id: IdempotencyId, options?: Partial<ClaimOptions>) => {
      const claim = await store.claim(id, claiming(options))
      assert.equal(claim.kind, 'claimed')
      return (claim as { readonly token: number }).token
    }

    test('a key is claimed once, and others are told by whom and for how long', async () => {
      const { one, two } = await open()
      const id = someId()
      await claimed(one, id, { owner: 'worker 1' })
      for (const store of [one, two]) {
        const claim = await store.claim(id, claiming({ owner: 'worker 2' }))
        assert.equal(claim.kind, 'running')
        if (claim.kind !== 'running') return
        assert.equal(claim.owner, 'worker 1')
        assert.ok(claim.remaining > 0 && claim.remaining <= long, `${claim.remaining}`)
        const found = await store.find(id)
        assert.equal(found.kind, 'running')
      }
    })

    test('of many that claim at once, one gets it', async () => {
      const { one, two } = await open()
      const id = someId()
      const claims = await Promise.all(
        Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? one : two).claim(id, claiming())),
      )
      const kinds = claims.map(({ kind }) => kind).toSorted((a, b) => a.localeCompare(b))
      assert.deepEqual(kinds, ['claimed', ...Array.from({ length: 19 }, () => 'running')])
    })

    test('scopes and keys are apart, byte for byte', async () => {
      const { one } = await open()
      const { scope, key } = someId()
      const ids = [
        { scope, key },
        { scope: `${scope}/`, key },
        { scope, key: `/${key}` },
        { scope, key: key.toUpperCase() },
        { scope, key: `${key} ` },
        { scope, key: `${key}🐟é` },
        { scope, key: `${key}🐟e\u0301` },
        { scope, key: 'x'.repeat(600) },
      ]
      for (const id of ids) await claimed(one, id)
    })

    test('what is stored comes back in its bytes, to whoever claims or looks', async () => {
      const { one, two } = await open()
      const outcomes: StoredOutcome[] = [
        reply,
        { kind: 'reply', value: null, headers: [] },
        { kind: 'reply', value: Buffer.alloc(0), headers: [] },
        {
          kind: 'error',
          code: 'DECLINED',
          message: 'nö\n',
          effect: 'none',
          retryable: false,
          headers,
        },
        { kind: 'done' },
        { kind: 'handed over' },
        { kind: 'passed over', reason: 'dead-lettered', detail: 'why' },
      ]
      for (const outcome of outcomes) {
        const id = someId()
        const token = await claimed(one, id)
        assert.equal(await one.complete(id, token, outcome, long), 'completed')
        for (const entry of [await two.claim(id, claiming({ owner: 'two' })), await two.find(id)]) {
          assert.equal(entry.kind, 'stored')
          if (entry.kind !== 'stored') return
          assert.deepEqual(entry.outcome, outcome)
          assert.equal(entry.token, token)
          assert.ok(Number.isFinite(entry.storedAt))
        }
      }
    })

    test('an outcome that was stored stays: a second attempt to store changes nothing', async () => {
      const { one, two } = await open()
      const id = someId()
      const token = await claimed(one, id)
      await one.complete(id, token, reply, long)
      assert.equal(await one.complete(id, token, reply, long), 'completed')
      assert.equal(await two.complete(id, token + 1, another, long), 'fenced')
      await two.release(id, token, false)
      const found = await two.find(id)
      assert.equal(found.kind, 'stored')
      assert.deepEqual(found.kind === 'stored' && found.outcome, reply)
    })

    test('another content is refused, whatever the state of the key', async () => {
      const { one, two, pass } = await open()
      const id = someId()
      const foreign = claiming({ fingerprint: otherContent, lease: short })
      let token = await claimed(one, id, { lease: short })
      assert.deepEqual(await two.claim(id, foreign), { kind: 'mismatch' })
      await pass(short + 50)
      assert.deepEqual(await two.claim(id, foreign), { kind: 'mismatch' }, 'its lease is over')
      token = await claimed(one, id)
      await one.release(id, token, true)
      assert.deepEqual(await two.claim(id, foreign), { kind: 'mismatch' }, 'it was released')
      token = await claimed(one, id)
      await one.complete(id, token, reply, long)
      assert.deepEqual(await two.claim(id, foreign), { kind: 'mismatch' }, 'it is stored')
    })

    test('released with a trace it can be claimed again, and whoever looks is told', async () => {
      const { one, two } = await open()
      const id = someId()
      const first = await claimed(one, id)
      await one.release(id, first, true)
      assert.equal((await two.find(id)).kind, 'released')
      const claim = await two.claim(id, claiming())
      assert.ok(claim.kind === 'claimed' && claim.again)
      assert.ok(claim.token > first, `${claim.token} > ${first}`)
    })

    test('released without a trace nothing is left of it but the tokens', async () => {
      const { one, two } = await open()
      const id = someId()
      const first = await claimed(one, id)
      await one.release(id, first, false)
      assert.equal((await two.find(id)).kind, 'nothing')
      const claim = await two.claim(id, claiming({ fingerprint: otherContent }))
      assert.ok(claim.kind === 'claimed' && !claim.again)
      assert.ok(claim.token > first, `${claim.token} > ${first}`)
    })

    test('the claim of a dead process ends by its lease, and what it does later is fenced', async () => {
      const { one, two, pass } = await open()
      const id = someId()
      const dead = await claimed(one, id, { lease: short })
      await pass(short + 50)
      assert.equal((await two.find(id)).kind, 'lapsed')
      const taken = await two.claim(id, claiming({ owner: 'two' }))
      assert.ok(taken.kind === 'claimed' && taken.again)
      const next = taken.token
      assert.ok(next > dead)
      assert.equal(await one.renew(id, dead, long), false)
      assert.equal(await one.complete(id, dead, another, long), 'fenced')
      await one.release(id, dead, false)
      assert.equal((await one.find(id)).kind, 'running', 'what the zombie released was not its own')
      assert.equal(await two.complete(id, next, reply, long), 'completed')
      assert.equal(await one.complete(id, dead, another, long), 'fenced')
      const found = await one.find(id)
      assert.deepEqual(found.kind === 'stored' && found.outcome, reply)
    })

    test('a lease that is over and that nobody has claimed is still its owner’s', async () => {
      const { one, two, pass } = await open()
      for (const renewed of [false, true]) {
        const id = someId()
        const token = await claimed(one, id, { lease: short })
        await pass(short + 50)
        if (renewed) {
          assert.equal(await one.renew(id, token, long), true)
          assert.equal((await two.claim(id, claiming())).kind, 'running')
        }
        assert.equal(await one.complete(id, token, reply, long), 'completed')
        assert.equal((await two.claim(id, claiming())).kind, 'stored')
      }
    })

    test('a renewed lease lasts longer than it was claimed for', async () => {
      const { one, two, pass } = await open()
      const id = someId()
      const token = await claimed(one, id, { lease: short })
      assert.equal(await one.renew(id, token, long), true)
      await pass(short + 50)
      assert.equal((await two.claim(id, claiming())).kind, 'running')
    })

    test('a stored outcome is replaced only by whoever names its token, and once', async () => {
      const { one, two } = await open()
      const id = someId()
      const first = await claimed(one, id)
      const failed: StoredOutcome = { kind: 'error', code: 'MILENA_DEAD_LETTERED', message: 'why' }
      await one.complete(id, first, failed, long)
      assert.equal((await two.claim(id, claiming({ replacing: first + 1 }))).kind, 'stored')
      const claims = await Promise.all(
        [one, two, one, two].map((store) => store.claim(id, claiming({ replacing: first }))),
      )
      const won = claims.filter(({ kind }) => kind === 'claimed')
      assert.equal(won.length, 1)
      const second = (won[0] as { readonly token: number }).token
      assert.ok(second > first)
      assert.equal(await one.complete(id, first, failed, long), 'fenced')
      assert.equal(await two.complete(id, second, reply, long), 'completed')
      assert.equal((await one.claim(id, claiming({ replacing: first }))).kind, 'stored')
    })

    test('what is stored is forgotten after its time to live, and the store says since when it knows', async () => {
      const { one, two, pass } = await open()
      const id = someId()
      const token = await claimed(one, id)
      await one.complete(id, token, reply, short)
      const stored = await one.find(id)
      assert.ok(stored.kind === 'stored')
      await pass(short + 50)
      const found = await two.find(id)
      assert.ok(found.kind === 'nothing')
      if (found.knowsSince !== undefined)
        assert.ok(found.knowsSince >= stored.storedAt, `${found.knowsSince} >= ${stored.storedAt}`)
      const next = await claimed(two, id, { fingerprint: otherContent })
      assert.ok(next > token, `${next} > ${token}`)
    })

    test('traces and lapsed claims are forgotten, too', async () => {
      const { one, pass } = await open()
      const [released, lapsed] = [someId(), someId()]
      await one.release(released, await claimed(one, released, { ttl: 2 * short }), true)
      await claimed(one, lapsed, { lease: short, ttl: 2 * short })
      await pass(short + 50)
      assert.equal((await one.find(released)).kind, 'released')
      assert.equal((await one.find(lapsed)).kind, 'lapsed')
      await pass(2 * short)
      assert.equal((await one.find(released)).kind, 'nothing')
      assert.equal((await one.find(lapsed)).kind, 'nothing')
    })

    test('a claim is not forgotten while it is renewed, however short its time to live', async () => {
      const { one, two, pass } = await open()
      const id = someId()
      const token = await claimed(one, id, { lease: 2 * short, ttl: short })
      for (let i = 0; i < 3; i++) {
        await pass(short)
        assert.equal(await one.renew(id, token, 2 * short), true)
      }
      assert.equal((await two.claim(id, claiming())).kind, 'running')
    })

    test('what a store never had was never claimed since it knows', async () => {
      const { one, two } = await open()
      const before = await one.find(someId())
      assert.ok(before.kind === 'nothing')
      const id = someId()
      const token = await claimed(one, id)
      await one.complete(id, token, reply, long)
      const after = await two.find(someId())
      assert.ok(after.kind === 'nothing')
      assert.equal(after.knowsSince === undefined, before.knowsSince === undefined)
      const found = await one.find(id)
      if (after.knowsSince !== undefined && found.kind === 'stored')
        assert.ok(after.knowsSince <= found.storedAt, 'it knows what is still here')
    })
  })
}

function someId(): IdempotencyId {
  return { scope: 'shop/pay', key: `order-${randomBytes(6).toString('hex')}` }
}
