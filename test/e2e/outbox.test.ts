/** The outbox on real brokers: relays in processes that are killed and stopped, a topic that is missing, a replier at the end. */
import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { after, before, test, type TestContext } from 'node:test'
import {
  createReplier,
  defineOperation,
  json,
  MessageHeaders,
  openKafka,
  type IncomingRecord,
  type Operation,
  type Transport,
} from '@milena/request-reply'
import { migrate, postgresOutbox, type Outbox } from '@milena/postgres'
import { openTestCluster, uniqueName, type TestCluster } from '../support/cluster.ts'
import { runPage } from '../support/run-page.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { waitFor } from '../support/wait-for.ts'
import type { OutboxWorkerOptions } from './outbox-worker.ts'

interface Step {
  readonly account: string
  readonly step: number
}

let cluster: TestCluster
let database: TestDatabase
let transport: Transport
let outbox: Outbox
before(async () => {
  cluster = await openTestCluster()
  database = await openTestDatabase()
  await migrate(database.pool)
  transport = await openKafka({ brokers: cluster.brokers })
  outbox = postgresOutbox({ pool: database.pool })
})
after(async () => {
  await transport?.close()
  await database?.close()
  await cluster?.close()
})

function moveOn(topic: string): Operation<Step, Step, void, void> {
  return defineOperation({ name: 'move', topic, request: json<Step>(), key: ({ account }) => account })
}

/** Writes a step and its row in one transaction, which is rolled back where `commits` is false. */
async function write(operation: ReturnType<typeof moveOn>, step: Step, commits = true): Promise<string> {
  const tx = await database.pool.connect()
  try {
    await tx.query('BEGIN')
    const { idempotencyKey } = await outbox.add(tx, operation, step)
    await tx.query(commits ? 'COMMIT' : 'ROLLBACK')
    return idempotencyKey
  } finally {
    tx.release()
  }
}

async function read(t: TestContext, topic: string): Promise<(Step & { readonly id: string })[]> {
  const log: (Step & { readonly id: string })[] = []
  const onRecords = (records: readonly IncomingRecord[]): void => {
    for (const { value, headers } of records) {
      const id = new MessageHeaders(headers).text('milena-idempotency-key')!
      log.push({ ...(JSON.parse(String(value)) as Step), id })
    }
  }
  const tail = await transport.tail({ topic, partitions: 'all', from: 'earliest', onRecords })
  t.after(() => tail.close())
  return log
}

async function startWorker(t: TestContext): Promise<ChildProcess> {
  const options: OutboxWorkerOptions = { brokers: cluster.brokers, url: database.url, claimTimeout: 4_000 }
  const worker = fork(new URL('outbox-worker.ts', import.meta.url), [JSON.stringify(options)], {
    execArgv: ['--conditions=x-source'],
  })
  t.after(() => end(worker, 'SIGKILL'))
  const [said] = (await once(worker, 'message')) as [unknown]
  assert.equal(said, 'relaying')
  return worker
}

async function end(worker: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return
  const exited = once(worker, 'exit')
  worker.kill(signal)
  await exited
}

test('relays that are killed and stopped: what is committed is sent, in the order of each key, and nothing else', async (t) => {
  const topic = await cluster.createTopic('outbox_moves', { partitions: 3 })
  const operation = moveOn(topic)
  const log = await read(t, topic)
  const workers = await Promise.all([startWorker(t), startWorker(t), startWorker(t)])
  const accounts = Array.from({ length: 8 }, (_, at) => `account-${at}`)
  const written = new Map<string, string[]>()
  const writing = Promise.all(
    accounts.map(async (account) => {
      const ids: string[] = []
      written.set(account, ids)
      for (let step = 0; step < 60; step++) {
        ids.push(await write(operation, { account, step }))
        if (step % 10 === 0) await write(operation, { account, step: -1 }, false)
      }
    }),
  )
  await waitFor(() => log.length > 40, { what: 'the first records' })
  assert.equal(new Set(log.map(({ id }) => id)).size, log.length, 'while all live each key is one relay’s')
  await end(workers[0], 'SIGKILL')
  workers[1].kill('SIGSTOP')
  await startWorker(t)
  await writing
  await waitFor(async () => (await outbox.backlog()).pending === 0, { what: 'an empty outbox' })
  workers[1].kill('SIGCONT')
  await waitFor(() => new Set(log.map(({ id }) => id)).size === 480, { what: 'every row in the log' })
  for (const account of accounts) {
    const ids = [...new Set(log.filter((each) => each.account === account).map(({ id }) => id))]
    assert.deepEqual(ids, written.get(account), account)
  }
  t.diagnostic(`${log.length - 480} of 480 rows were sent a second time`)
  await end(workers[2], 'SIGTERM')
  assert.equal(workers[2].exitCode, 0)
})

test('a missing topic holds up its own keys only, is told, and is sent to when it is there', async (t) => {
  const there = await cluster.createTopic('outbox_there')
  const missing = uniqueName('outbox_missing')
  const log = await read(t, there)
  const relay = outbox.relay({ kafka: { brokers: cluster.brokers }, sendTimeout: 1_000, maxPause: 500 })
  t.after(() => relay.close())
  await relay.start()
  for (let step = 0; step < 3; step++) await write(moveOn(missing), { account: 'a', step })
  await waitFor(async () => (await outbox.backlog()).stuckKeys === 1, { what: 'the stuck key' })
  await write(moveOn(there), { account: 'a', step: 7 })
  await waitFor(() => log.length === 1, { what: 'the other topic’s record' })
  const [stuck] = (await outbox.backlog()).stuck
  assert.deepEqual(
    [stuck!.topic, String(stuck!.key), stuck!.error.code],
    [missing, 'a', 'MILENA_TOPIC_MISSING'],
  )
  await transport.createTopics([{ name: missing, partitions: 1 }])
  cluster.own(missing)
  const late = await read(t, missing)
  await waitFor(() => late.length >= 3, { what: 'the rows of the topic that was missing' })
  const steps = [...new Set(late.map(({ step }) => step))]
  assert.deepEqual(steps, [0, 1, 2])
})

test('a replier answers what the outbox sent, where the row says', async (t) => {
  const topic = await cluster.createTopic('outbox_request')
  const replies = await cluster.createTopic('outbox_reply')
  const operation = defineOperation({
    name: 'double',
    topic,
    request: json<number>(),
    reply: json<number>(),
  })
  const replier = createReplier({ transport, groupId: uniqueName('outbox'), replyTopics: [replies] })
  replier.handle(operation, (value) => 2 * value)
  await replier.start()
  t.after(() => replier.close())
  const relay = outbox.relay({ transport })
  t.after(() => relay.close())
  await relay.start()
  const seen: IncomingRecord[] = []
  const onRecords = (records: readonly IncomingRecord[]): void => void seen.push(...records)
  const tail = await transport.tail({ topic: replies, partitions: 'all', from: 'earliest', onRecords })
  t.after(() => tail.close())
  const tx = await database.pool.connect()
  await tx.query('BEGIN')
  const { correlationId } = await outbox.add(tx, operation, 21, { replyTo: { topic: replies } })
  await tx.query('COMMIT')
  tx.release()
  await waitFor(() => seen.length > 0, { what: 'the reply' })
  assert.equal(String(seen[0]!.value), '42')
  const id = new MessageHeaders(seen[0]!.headers).get('kafka_correlationId')
  assert.equal(id?.toString('hex'), correlationId)
})

test('the code of docs/outbox.md runs as it stands, and prints what it says', async () => {
  const before = process.env['DATABASE_URL']
  const own = await openTestDatabase()
  process.env['DATABASE_URL'] = own.url
  try {
    const page = { page: 'docs/outbox.md', block: 0, topics: ['ship_request'] }
    await runPage(cluster, page)
  } finally {
    if (before === undefined) delete process.env['DATABASE_URL']
    else process.env['DATABASE_URL'] = before
    await own.close()
  }
})
