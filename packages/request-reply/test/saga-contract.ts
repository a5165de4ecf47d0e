/** What every store of sagas must do, whoever calls it at the same time. It runs in memory and on PostgreSQL. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { SagaStatus } from '../src/saga/status.ts'
import type { ClaimedSaga, SagaClaim, SagaStore } from '../src/saga/store.ts'

export interface SagaStoreTarget<Transaction> {
  /** A time, in milliseconds, that a lease may last in a test which waits for its end. */
  readonly short: number
  open(): Promise<OpenedSagaStore<Transaction>>
}

export interface OpenedSagaStore<Transaction> {
  readonly store: SagaStore<Transaction>
  /** The same sagas, as another process sees them. */
  readonly other: SagaStore<Transaction>
  /** Writes something in the transaction. */
  note(transaction: Transaction, text: string): Promise<void>
  /** What was written and committed. */
  notes(): Promise<readonly string[]>
  /** Lets so many milliseconds pass. */
  pass(milliseconds: number): Promise<void>
  close(): Promise<void>
}

const long = 3_600_000

export function describeSagaContract<Transaction>(name: string, target: SagaStoreTarget<Transaction>): void {
  describe(`saga store: ${name}`, () => {
    let opened: OpenedSagaStore<Transaction>
    let store: SagaStore<Transaction>
    before(async () => {
      opened = await target.open()
      store = opened.store
    })
    after(() => opened.close())

    const owner = async (lease = long): Promise<string> => {
      const id = randomUUID()
      await store.renew(id, lease)
      return id
    }
    const begin = async (whom: string | undefined, some: Partial<SagaStatus> = {}): Promise<SagaClaim> => {
      const claim = await store.create(newStatus(some), whom)
      assert.ok('token' in claim)
      return claim
    }
    const statusOf = async (id: string): Promise<SagaStatus | undefined> => (await store.read([id]))[0]
    const free = async (claim: SagaClaim, dueIn: number | undefined, saga = 's'): Promise<SagaClaim> =>
      (await store.save(claim, { status: newStatus({ id: claim.id, saga }), free: { dueIn } }))!

    test('a saga is begun once: whoever comes later gets what is there', async () => {
      const status = newStatus()
      const begun = await Promise.all(
        [1, 2, 3, 4].map(async (input) => {
          const each = input % 2 === 0 ? store : opened.other
          return each.create({ ...status, input }, await owner())
        }),
      )
      const created = begun.filter((claim) => 'token' in claim)
      assert.deepEqual(created, [{ id: status.id, token: 1, version: 1 }])
      const stored = await statusOf(status.id)
      for (const claim of begun) if ('existing' in claim) assert.deepEqual(claim.existing, stored)
    })

    test('what is stored is what was given, whatever characters are in it', async () => {
      const input = { text: '\u0000 \ud800 ü 漢 "\\', list: [1, null, { a: 1.5 }] }
      const { id } = await begin(await owner(), { input })
      assert.deepEqual((await statusOf(id))?.input, input)
    })

    test('a beginning whose own part fails leaves nothing, and rejects with its error', async () => {
      const status = newStatus()
      const error = new Error('no')
      const failed = store.create(status, undefined, async (transaction) => {
        await opened.note(transaction, `begin ${status.id}`)
        throw error
      })
      await assert.rejects(failed, (thrown) => thrown === error)
      assert.equal(await statusOf(status.id), undefined)
      await store.create(status, undefined, (transaction) => opened.note(transaction, `again ${status.id}`))
      await store.create(status, undefined, (transaction) => opened.note(transaction, `vain ${status.id}`))
      const notes = (await opened.notes()).filter((note) => note.endsWith(status.id))
      assert.deepEqual(notes, [`again ${status.id}`])
    })

    test('a change needs the version and the token of the last one', async () => {
      const claim = await begin(await owner())
      const status = newStatus({ id: claim.id, input: 'changed' })
      const next = await store.save(claim, { status })
      assert.deepEqual(next, { ...claim, version: 2 })
      assert.deepEqual(await statusOf(claim.id), JSON.parse(JSON.stringify(status)))
      assert.equal(await store.save(claim, { status: newStatus({ id: claim.id }) }), undefined)
      assert.equal(await store.save({ ...next, token: 2 }, { status }), undefined)
      assert.equal((await statusOf(claim.id))?.input, 'changed')
    })

    test('of changes under one version, made at the same time, one is', async () => {
      const claim = await begin(await owner())
      const made = await Promise.all(
        [1, 2, 3, 4].map((input) =>
          (input % 2 === 0 ? store : opened.other).save(claim, async (transaction) => {
            await opened.note(transaction, `race ${claim.id}`)
            return { status: newStatus({ id: claim.id, input }) }
          }),
        ),
      )
      assert.equal(made.filter((saved) => saved !== undefined).length, 1)
      assert.equal((await opened.notes()).filter((note) => note === `race ${claim.id}`).length, 1)
    })

    test('what is done in a transaction is committed with the change, or not at all', async () => {
      const claim = await begin(await owner())
      const error = new Error('no')
      const failing = store.save(claim, async (transaction) => {
        await opened.note(transaction, `failed ${claim.id}`)
        throw error
      })
      await assert.rejects(failing, (thrown) => thrown === error)
      const saved = await store.save(claim, async (transaction) => {
        await opened.note(transaction, `done ${claim.id}`)
        return { status: newStatus({ id: claim.id }) }
      })
      assert.equal(saved?.version, 2)
      const late = await store.save(claim, async (transaction) => {
        await opened.note(transaction, `late ${claim.id}`)
        return { status: newStatus({ id: claim.id }) }
      })
      assert.equal(late, undefined)
      const notes = (await opened.notes()).filter((note) => note.endsWith(claim.id))
      assert.deepEqual(notes, [`done ${claim.id}`])
    })

    test('what was saved last can be asked for, until somebody claims the saga', async () => {
      const claim = await begin(await owner())
      const saved = await store.save(claim, { status: newStatus({ id: claim.id, input: 2 }) })
      const current = await store.current(claim)
      assert.equal(current?.version, 2)
      assert.equal(current?.status.input, 2)
      await free(saved!, 0)
      assert.equal((await store.current(claim))?.version, 3)
      assert.ok(await opened.other.claim(claim.id, await owner()))
      assert.equal(await store.current(claim), undefined)
    })

    test('a saga that is owned is nobody else’s; a free one is the first one’s who claims it', async () => {
      const claim = await begin(await owner())
      assert.equal(await opened.other.claim(claim.id, await owner()), undefined)
      const freed = await free(claim, long)
      assert.equal(await store.save(freed, { status: newStatus({ id: claim.id }) }), undefined, 'it is free')
      const owners = await Promise.all([1, 2, 3, 4].map(() => owner()))
      const claims = await Promise.all(
        owners.map((each, i) => (i % 2 === 0 ? store : opened.other).claim(claim.id, each)),
      )
      const made = claims.filter((each) => each !== undefined)
      assert.equal(made.length, 1)
      assert.deepEqual(pick(made[0]!), { id: claim.id, token: 2, version: 2 })
      assert.ok(made[0]!.dueIn! > long / 2 && made[0]!.dueIn! <= long, `due in ${made[0]!.dueIn}`)
    })

    test('when a lease has run out others have its sagas, and its owner is fenced', async () => {
      const saga = randomUUID()
      const gone = await owner(target.short)
      const claim = await begin(gone, { saga })
      assert.deepEqual(await store.claimDue(await owner(), [saga], 10), [])
      await opened.pass(2 * target.short)
      const [taken] = await opened.other.claimDue(await owner(), [saga], 10)
      assert.equal(taken?.token, 2)
      assert.equal(await store.save(claim, { status: newStatus({ id: claim.id }) }), undefined)
      assert.ok(await opened.other.save(taken, { status: newStatus({ id: claim.id, saga }) }))
    })

    test('a lease that is renewed does not run out, one that is given up does at once', async () => {
      const saga = randomUUID()
      const whom = await owner(target.short)
      await begin(whom, { saga })
      await store.renew(whom, long)
      await opened.pass(2 * target.short)
      assert.deepEqual(await store.claimDue(await owner(), [saga], 10), [])
      await store.retire(whom)
      assert.equal((await store.claimDue(await owner(), [saga], 10)).length, 1)
    })

    test('what is due is claimed, of the definitions that are asked for, as many as are wanted', async () => {
      const saga = randomUUID()
      const later = await begin(await owner(), { saga })
      await free(later, long, saga)
      const asked = await begin(await owner(), { saga })
      await free(asked, undefined, saga)
      for (let i = 0; i < 3; i++) await begin(undefined, { saga })
      await begin(undefined, { saga: `${saga} 2` })
      const whom = await owner()
      assert.equal((await store.claimDue(whom, [saga], 2)).length, 2)
      assert.equal((await store.claimDue(whom, [saga, 'x'], 2)).length, 1)
      assert.equal((await store.claimDue(whom, [saga], 2)).length, 0)
      assert.equal((await store.claim(asked.id, whom))?.dueIn, undefined)
    })

    test('a pause ends by itself', async () => {
      const saga = randomUUID()
      const claim = await begin(await owner(), { saga })
      await free(claim, target.short, saga)
      const whom = await owner()
      assert.deepEqual(await store.claimDue(whom, [saga], 1), [])
      await opened.pass(2 * target.short)
      assert.equal((await store.claimDue(whom, [saga], 1)).length, 1)
    })

    test('two that look at the same time never get the same saga', async () => {
      const saga = randomUUID()
      for (let i = 0; i < 20; i++) await begin(undefined, { saga })
      const looks = await Promise.all(
        Array.from({ length: 8 }, async (_, i) =>
          (i % 2 === 0 ? store : opened.other).claimDue(await owner(), [saga], 4),
        ),
      )
      const ids = looks.flat().map(({ id }) => id)
      assert.equal(new Set(ids).size, ids.length)
    })

    test('an owner gets back what it has, but for what it knows of', async () => {
      const whom = await owner()
      const known = await begin(whom)
      const lost = await begin(whom)
      await begin(await owner())
      const own = await store.claimOwn(whom, [known.id], 10)
      assert.deepEqual(own.map(pick), [{ id: lost.id, token: 2, version: 1 }])
      assert.equal(await store.save(lost, { status: newStatus({ id: lost.id }) }), undefined)
    })

    test('a saga is found by the reply that it waits for, and by no other', async () => {
      const id = randomUUID()
      const correlationId = randomUUID().replaceAll('-', '')
      const claim = await begin(await owner(), { id })
      const waiting = newStatus({ id, steps: [step({ state: 'sent', correlationId })] })
      const saved = await store.save(claim, { status: waiting })
      assert.equal((await store.waitingFor(correlationId))?.id, id)
      const done = newStatus({ id, steps: [step({ state: 'done', correlationId })] })
      await store.save(saved!, { status: done })
      assert.equal(await store.waitingFor(correlationId), undefined)
    })

    test('an ended saga is nobody’s, counts as such, and is removed after its time', async () => {
      const saga = randomUUID()
      const claim = await begin(await owner(), { saga })
      const ended = newStatus({ id: claim.id, saga, state: 'completed', endedAt: 5 })
      const before = await store.count()
      assert.ok(await store.save(claim, { status: ended }))
      const after = await store.count()
      assert.equal(after.completed, before.completed + 1)
      assert.equal(after.running, before.running - 1)
      assert.equal(await store.claim(claim.id, await owner()), undefined)
      assert.deepEqual(await store.claimDue(await owner(), [saga], 10), [])
      await store.removeEnded(long, 10)
      assert.ok(await statusOf(claim.id))
      await opened.pass(target.short)
      assert.equal(await store.removeEnded(0, 10), 1)
      assert.equal(await statusOf(claim.id), undefined)
    })

    test('sagas are listed by what they are, page by page', async () => {
      const saga = randomUUID()
      const ids: string[] = []
      for (let startedAt = 1; startedAt <= 5; startedAt++) {
        const stuckSince = startedAt === 3 ? 7 : undefined
        const state = startedAt > 3 ? 'compensating' : 'running'
        ids.push((await begin(undefined, { saga, startedAt, stuckSince, state })).id)
      }
      const listed = async (filter: object): Promise<number[]> =>
        (await store.list({ saga, ...filter })).sagas.map(({ id }) => ids.indexOf(id) + 1)
      assert.deepEqual(await listed({}), [1, 2, 3, 4, 5])
      assert.deepEqual(await listed({ state: 'compensating' }), [4, 5])
      assert.deepEqual(await listed({ stuck: true }), [3])
      assert.deepEqual(await listed({ stuck: false, since: 2 }), [2, 4, 5])
      assert.deepEqual(await listed({ since: 4.5 }), [5])
      const first = await store.list({ saga, limit: 3 })
      assert.equal(first.sagas.length, 3)
      const second = await store.list({ saga, limit: 3, after: first.cursor })
      assert.deepEqual(
        [...first.sagas, ...second.sagas].map(({ id }) => id),
        ids,
      )
      assert.equal(second.cursor, undefined)
      assert.ok((await store.count()).stuck >= 1)
    })

    test('every change from now on is told, with the latest status', async () => {
      const whom = await owner()
      await begin(whom)
      const from = (await store.changes(undefined, 10)).cursor
      const claim = await begin(whom)
      const saved = await opened.other.save(claim, { status: newStatus({ id: claim.id, input: 2 }) })
      await store.save(saved!, { status: newStatus({ id: claim.id, input: 3 }) })
      const other = await begin(whom)
      const told = new Map<string, unknown>()
      let cursor = from
      const isTold = (): boolean => told.get(claim.id) === 3 && told.has(other.id)
      for (let tries = 0; tries < 200 && !isTold(); tries++) {
        const changes = await store.changes(cursor, 1)
        if (changes.sagas.length === 0) await opened.pass(20)
        for (const { id, input } of changes.sagas) told.set(id, input)
        cursor = changes.cursor
      }
      // What was changed before may be told, too, while somebody else's transaction is open.
      assert.deepEqual(
        [...told].filter(([id]) => id === claim.id || id === other.id),
        [
          [claim.id, 3],
          [other.id, 1],
        ],
      )
    })
  })
}

function pick({ id, token, version }: SagaClaim | ClaimedSaga): SagaClaim {
  return { id, token, version }
}

function newStatus(some: Partial<SagaStatus> = {}): SagaStatus {
  return {
    id: randomUUID(),
    saga: 's',
    state: 'running',
    input: 1,
    steps: [],
    failure: undefined,
    trouble: undefined,
    stuckSince: undefined,
    startedAt: 1,
    changedAt: 1,
    endedAt: undefined,
    ...some,
  }
}

function step(some: Partial<SagaStatus['steps'][number]>): SagaStatus['steps'][number] {
  return {
    name: 'a',
    state: 'begun',
    attempts: 1,
    interrupted: 0,
    effect: undefined,
    error: undefined,
    compensations: 0,
    compensatingSince: undefined,
    compensationError: undefined,
    correlationId: undefined,
    compensationCorrelationId: undefined,
    ...some,
  }
}
