import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { z } from 'zod'
import { waitFor } from '../../../test/support/wait-for.ts'
import { defineOperation, type Operation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { ReplyError } from '../src/errors.ts'
import type { HandlerContext } from '../src/replier/context.ts'
import { createReplier } from '../src/replier/replier.ts'
import { createRequester } from '../src/requester/requester.ts'
import { requestRecord } from '../src/requester/standalone-record.ts'
import { fixed } from '../src/retry/backoff.ts'
import { defineSaga } from '../src/saga/definition.ts'
import { MemorySagaStore, type MemoryTransaction } from '../src/saga/memory-store.ts'
import { createSagas } from '../src/saga/open-sagas.ts'
import type { SagaOutbox } from '../src/saga/outbox.ts'
import type { Sagas } from '../src/saga/sagas.ts'
import { command, operation } from '../src/saga/work.ts'
import type { MemoryTransport } from '../src/transport/memory/transport.ts'
import { createMemoryBroker } from '../src/transport/memory/broker.ts'
import { sharedReplyTopic } from '../src/routing/shared-reply-topic.ts'

/** Does as its request says, and keeps what it was told. */
const move = defineOperation({ name: 'move', topic: 'requests', request: string(), reply: string() })

interface Told {
  readonly request: string
  readonly key: string
  readonly idempotencyKey: string | undefined
}

interface Bench {
  readonly told: Told[]
  readonly fallen: unknown[]
  readonly store: MemorySagaStore
  open(...definitions: Parameters<typeof createSagas<MemoryTransaction>>[0]['sagas']): Promise<Sagas>
}

async function setUp(t: TestContext): Promise<Bench> {
  const broker = createMemoryBroker({
    topics: ['requests', 'answers', 'replies'].map((name) => ({ name, partitions: 1 })),
  })
  const told: Told[] = []
  const fallen: unknown[] = []
  const store = new MemorySagaStore()
  const connections: MemoryTransport[] = []
  const connect = (): MemoryTransport => {
    const connection = broker.connect()
    connections.push(connection)
    return connection
  }
  const sending = connect()
  const other = createReplier({
    transport: connect(),
    groupId: 'other',
    replyTopics: ['answers', 'replies'],
  })
  other.handle(move, (request, context) => {
    told.push({ request, key: String(context.key), idempotencyKey: keyOf(context) })
    if (request === 'refuse') throw new ReplyError('NO', 'no', { effect: 'none' })
    if (request === 'fail once' && told.length === 1) throw new Error('away')
    return `${request}: done`
  })
  await other.start()
  const requester = await createRequester({
    transport: connect(),
    replyRouting: sharedReplyTopic({ topic: 'replies' }),
  })
  const outbox: SagaOutbox<MemoryTransaction> = {
    async add(transaction, operation, value, options) {
      const record = await requestRecord(operation, value, options)
      transaction.onCommit(() => void sending.send(record))
    },
  }
  t.after(async () => {
    await other.close({ timeout: 0 })
    await requester.close({ timeout: 0 })
    for (const connection of connections) await connection.close()
  })
  return {
    told,
    fallen,
    store,
    async open(...sagas) {
      const opened = createSagas({
        store,
        sagas,
        requester,
        outbox,
        interval: 20,
        logger: { warn: () => {} },
      })
      const replier = createReplier({ transport: connect(), groupId: 'sagas' })
      const answers: Operation<string, string, void, void> = defineOperation({
        name: 'answers',
        topic: 'answers',
        request: string(),
      })
      replier.handle(answers, (value) => void fallen.push(value), { useRecords: [opened.replies] })
      await opened.start()
      await replier.start()
      t.after(async () => {
        await opened.close({ timeout: 0 })
        await replier.close({ timeout: 0 })
      })
      return opened
    },
  }
}

function keyOf({ headers }: HandlerContext): string | undefined {
  return headers.text('milena-idempotency-key')
}

const sagaOf = defineSaga({ name: 's', input: z.object({ first: z.string(), second: z.string() }) })
const replyTo = 'answers'

test('requests and commands carry the saga’s id as key, and their step’s idempotency key', async (t) => {
  const bench = await setUp(t)
  const saga = sagaOf
    .step(
      'asked',
      operation(move, ({ input }) => input.first),
      { compensate: command(move, () => 'undo', { replyTo }) },
    )
    .step(
      'told',
      command(move, ({ results }) => results.asked, { replyTo }),
    )
    .step(
      'last',
      operation(move, ({ input }) => input.second),
    )
  const sagas = await bench.open(saga)
  const done = await sagas.run(saga, 'a', { first: 'one', second: 'two' })
  assert.deepEqual((await done.ended).results, {
    asked: 'one: done',
    told: 'one: done: done',
    last: 'two: done',
  })
  assert.deepEqual(bench.told.splice(0), [
    { request: 'one', key: 'a', idempotencyKey: 'a:asked' },
    { request: 'one: done', key: 'a', idempotencyKey: 'a:told' },
    { request: 'two', key: 'a', idempotencyKey: 'a:last' },
  ])
  const failed = await sagas.run(saga, 'b', { first: 'one', second: 'refuse' })
  const { outcome, failure } = await failed.ended
  assert.equal(outcome, 'compensated')
  assert.deepEqual([failure?.step, failure?.code, failure?.effect], ['last', 'NO', 'none'])
  assert.deepEqual(bench.told.at(-1), { request: 'undo', key: 'b', idempotencyKey: 'b:asked:compensation' })
})

test('a command’s error reply ends its step as any error does', async (t) => {
  const bench = await setUp(t)
  const saga = sagaOf
    .step('first', () => 1, {
      compensate: command(move, () => 'fail once', { replyTo }),
      compensation: { backoff: fixed(10) },
    })
    .step(
      'told',
      command(move, ({ input }) => input.first, { replyTo }),
      { compensate: () => assert.fail() },
    )
  const sagas = await bench.open(saga)
  const run = await sagas.run(saga, 'a', { first: 'refuse', second: '' })
  const { outcome, failure } = await run.ended
  assert.equal(outcome, 'compensated', 'the compensation was tried again')
  assert.equal(failure?.code, 'NO')
  assert.equal((await sagas.get('a'))?.steps[1]?.state, 'failed')
})

test('a reply completes its saga in a process that has not sent the command', async (t) => {
  const bench = await setUp(t)
  const saga = sagaOf.step(
    'told',
    command(move, ({ input }) => input.first, { replyTo }),
  )
  // Nobody reads the answers there.
  const outbox: SagaOutbox<MemoryTransaction> = {
    add: async () => undefined,
  }
  const first = createSagas({ store: bench.store, sagas: [saga], outbox })
  await first.start()
  await first.run(saga, 'a', { first: 'x', second: '' })
  await waitFor(async () => (await bench.store.read(['a']))[0]?.steps[0]?.state === 'sent', {
    what: 'the command',
  })
  assert.equal(first.health().working, 0, 'it holds nothing')
  await first.close()
  const second = await bench.open(saga)
  assert.equal(await second.complete('a', 'other', { result: 'no' }), false)
  assert.equal(await second.complete('a', 'told', { result: 'yes' }), true)
  assert.equal(await second.complete('a', 'told', { result: 'again' }), false)
  const { results } = await (await second.run(saga, 'a', { first: 'x', second: '' })).ended
  assert.deepEqual(results, { told: 'yes' })
})
