/** Many callers' writes as few statements: what each of them may rely on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DatabaseError } from 'pg'
import { GroupCommit, type GroupCommitOptions } from '@milena/postgres'

/** Writes of numbers, each its own id but for the tens: 12 and 2 have one id. A statement ends when it is told to. */
class Statements {
  readonly begun: { readonly writes: readonly number[]; end(error?: Error): void }[] = []
  readonly group: GroupCommit<number, boolean>

  constructor(options: Partial<GroupCommitOptions<number, boolean>> = {}) {
    this.group = new GroupCommit<number, boolean>({
      idOf: (write) => String(write % 10),
      carryOut: (writes) =>
        new Promise((resolve, reject) => {
          const end = (error?: Error) =>
            error === undefined ? resolve(writes.map((n) => n < 10)) : reject(error)
          this.begun.push({ writes, end })
        }),
      ...options,
    })
  }

  get writes(): (readonly number[])[] {
    return this.begun.map(({ writes }) => writes)
  }

  /** Resolves when so many statements have begun. */
  async begins(count: number): Promise<void> {
    while (this.begun.length < count) await new Promise((resolve) => setImmediate(resolve))
  }
}

test('what arrives together is one statement, ordered by id; what comes meanwhile goes with the next', async () => {
  const statements = new Statements()
  const first = [3, 1].map((write) => statements.group.add(write))
  await statements.begins(1)
  const second = [5, 4].map((write) => statements.group.add(write))
  statements.begun[0]!.end()
  assert.deepEqual(await Promise.all(first), [true, true])
  await statements.begins(2)
  statements.begun[1]!.end()
  assert.deepEqual(await Promise.all(second), [true, true])
  assert.deepEqual(statements.writes, [
    [1, 3],
    [4, 5],
  ])
})

test('the first write waits for nobody; what follows soon waits for the pace, and goes together', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const statements = new Statements({ pace: 60_000 })
  const first = statements.group.add(1)
  await statements.begins(1)
  statements.begun[0]!.end()
  await first
  const soon = [2, 3].map((write) => statements.group.add(write))
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  assert.deepEqual(statements.writes, [[1]])
  t.mock.timers.tick(60_000)
  await statements.begins(2)
  statements.begun[1]!.end()
  await Promise.all(soon)
  assert.deepEqual(statements.writes, [[1], [2, 3]])
})

test('two writes of one id are never in one statement, and each is told its own', async () => {
  const statements = new Statements()
  const both = Promise.all([2, 12].map((write) => statements.group.add(write)))
  for (const number of [1, 2]) {
    await statements.begins(number)
    statements.begun[number - 1]!.end()
  }
  assert.deepEqual(await both, [true, false])
  assert.deepEqual(statements.writes, [[2], [12]])
})

test('what the database refuses costs only the one that is at fault', async () => {
  const statements = new Statements()
  const all = Promise.allSettled([1, 2, 3].map((write) => statements.group.add(write)))
  const refusal = Object.assign(new DatabaseError('no such state', 0, 'error'), { code: '23514' })
  await statements.begins(1)
  statements.begun[0]!.end(refusal)
  for (const number of [2, 3, 4]) {
    await statements.begins(number)
    statements.begun[number - 1]!.end(number === 3 ? refusal : undefined)
  }
  assert.deepEqual(
    (await all).map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  assert.deepEqual(statements.writes, [[1, 2, 3], [1], [2], [3]])
})

test('when the connection breaks nothing is repeated: nobody knows what was written', async () => {
  const statements = new Statements()
  const all = Promise.allSettled([1, 2].map((write) => statements.group.add(write)))
  await statements.begins(1)
  statements.begun[0]!.end(new Error('Connection terminated unexpectedly'))
  assert.deepEqual(
    (await all).map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  const later = statements.group.add(3)
  await statements.begins(2)
  statements.begun[1]!.end()
  assert.equal(await later, true)
  assert.deepEqual(statements.writes, [[1, 2], [3]])
})

test('a statement that hangs rejects those that wait for it, and holds up nobody else', async () => {
  const statements = new Statements({ timeout: 300 })
  const hanging = statements.group.add(1)
  await assert.rejects(hanging, /not answered within 300 ms/)
  const next = statements.group.add(3)
  await statements.begins(2)
  statements.begun[1]!.end()
  assert.equal(await next, true)
})

const bytesOf = (write: number): number => write * 1024 * 1024

test('a statement is bounded in steps and in bytes, and no step is too large for one of its own', async () => {
  const statements = new Statements({ bytesOf, idOf: undefined })
  const all = Promise.all([9, 1, 2, 1, 1].map((write) => statements.group.add(write)))
  for (const number of [1, 2, 3]) {
    await statements.begins(number)
    statements.begun[number - 1]!.end()
  }
  await all
  assert.deepEqual(statements.writes, [[9], [1, 2, 1], [1]])
  const many = new Statements({ idOf: undefined })
  const most = Promise.all(Array.from({ length: 501 }, (_, write) => many.group.add(write)))
  for (const number of [1, 2]) {
    await many.begins(number)
    many.begun[number - 1]!.end()
  }
  await most
  assert.deepEqual(
    many.writes.map(({ length }) => length),
    [500, 1],
  )
})
