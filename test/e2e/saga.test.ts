/** Sagas on real brokers and PostgreSQL: the page's code, and processes that are killed. */
import assert from 'node:assert/strict'
import { execFile, fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { after, before, test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createReplier } from '@milena/request-reply'
import { migrate, postgresSagas } from '@milena/postgres'
import { openTestCluster, uniqueName, type TestCluster } from '../support/cluster.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { waitFor } from '../support/wait-for.ts'
import { cancelIn, type SagaWorkerMessage, type SagaWorkerOptions } from './saga-worker.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

let cluster: TestCluster
let database: TestDatabase
before(async () => {
  cluster = await openTestCluster()
  database = await openTestDatabase()
  await migrate(database.pool)
})
after(async () => {
  await database?.close()
  await cluster?.close()
})

test('the page’s code runs as it stands, and prints what it says', async () => {
  const page = await readFile(new URL('../../docs/saga.md', import.meta.url), 'utf8')
  const [, code, printed] = /```ts\n([^]*?)```[^]*?It prints:\n\n```\n([^]*?)```/.exec(page)!
  let here = code!.replace("['127.0.0.1:9092']", JSON.stringify(cluster.brokers))
  here = here.replace('postgres://postgres@127.0.0.1:5432/postgres', database.url)
  for (const name of ['cancel-request', 'cancel-response', 'orders', 'bank']) {
    assert.ok(here.includes(`'${name}'`), `the page's code does not name ${name}`)
    const own = uniqueName(name)
    if (name.startsWith('cancel')) cluster.own(own)
    here = here.replaceAll(`'${name}'`, `'${own}'`)
  }
  const args = ['--conditions=x-source', '--input-type=module-typescript', '--eval', here]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 60_000 })
  assert.equal(stdout, printed)
  assert.equal(stderr, '')
})

test('processes are killed, and every saga is done whole or undone whole', async (t) => {
  const count = 36
  const { pool } = database
  await pool.query('CREATE TABLE effects (saga text, step text, change int, key text UNIQUE)')
  const topic = await cluster.createTopic('cancel', { partitions: 3 })
  const replyTo = await cluster.createTopic('cancelled', { partitions: 3 })
  const operation = cancelIn(topic)
  const replier = createReplier({
    kafka: { brokers: cluster.brokers },
    groupId: uniqueName('accounts'),
    replyTopics: [replyTo],
  })
  replier.handle(operation, async ({ saga }) => {
    // Holds in either order: what is undone cannot be done any more.
    await pool.query("INSERT INTO effects VALUES ($1, 'sent', 0, $1 || ':undone') ON CONFLICT DO NOTHING", [
      saga,
    ])
    return true
  })
  await replier.start()
  t.after(() => replier.close())

  const options = {
    brokers: cluster.brokers,
    url: database.url,
    topic,
    replyTo,
    groupId: uniqueName('sagas'),
  }
  const workers = await Promise.all([
    startWorker(t, { ...options, member: '0' }),
    startWorker(t, { ...options, member: '1' }),
  ])
  const store = postgresSagas({ pool })
  let kills = 0
  for (let i = 0; i < count; i++) {
    const worker = workers[i % 2]!
    const isLast = i % 9 === 8
    // Every other time it is killed between a step's work and its being written down.
    const slow = isLast && kills % 2 === 0
    if (worker.connected) worker.send({ id: `saga-${i}`, fails: i % 3, slow } satisfies SagaWorkerMessage)
    if (!isLast) continue
    // While what it was told last is under way.
    const last = Array.from({ length: 9 }, (_, back) => `saga-${i - back}`)
    const some = async (): Promise<boolean> => {
      const sent = await pool.query("SELECT FROM effects WHERE saga = $1 AND step = 'sent'", [last[0]])
      return (await store.read(last)).length > i % 7 && (sent.rowCount! > 0 || !slow)
    }
    await waitFor(some, { what: 'some of the last sagas to begin', interval: 1 })
    await end(worker)
    kills++
    workers[i % 2] = await startWorker(t, { ...options, member: `${i % 2}` })
  }
  assert.equal(kills, 4)
  const ended = async (): Promise<boolean> => {
    const { running, compensating } = await store.count()
    return running + compensating === 0
  }
  await waitFor(ended, { what: 'all sagas to end' })
  const { sagas } = await store.list({ saga: 'killed', limit: 1_000 })
  const interrupted = sagas.filter(({ steps }) => steps.some((step) => step.interrupted > 0))
  assert.ok(interrupted.length > 0, 'a step was under way when its process was killed')
  const outcomes = new Set(sagas.map(({ state }) => state))
  assert.deepEqual([...outcomes].toSorted(), ['compensated', 'completed'])
  for (const { id, state } of sagas) {
    const { rows } = await pool.query<{ readonly step: string; readonly sum: number }>(
      'SELECT step, sum(change)::int AS sum FROM effects WHERE saga = $1 GROUP BY step ORDER BY step',
      [id],
    )
    const undone = await pool.query('SELECT FROM effects WHERE key = $1', [`${id}:undone`])
    const net = Object.fromEntries(rows.map(({ step, sum }) => [step, sum]))
    if (state === 'completed') {
      assert.deepEqual(net, { rows: 1, sent: 1 }, id)
      assert.equal(undone.rowCount, 0, id)
    } else {
      assert.equal(net['rows'] ?? 0, 0, id)
      assert.equal(undone.rowCount, (net['sent'] ?? 0) > 0 ? 1 : undone.rowCount, id)
    }
  }
})

async function startWorker(t: TestContext, options: SagaWorkerOptions): Promise<ChildProcess> {
  const worker = fork(new URL('saga-worker.ts', import.meta.url), [JSON.stringify(options)], {
    execArgv: ['--conditions=x-source'],
  })
  t.after(() => end(worker))
  const [said] = (await once(worker, 'message')) as [unknown]
  assert.equal(said, 'running')
  return worker
}

async function end(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return
  const exited = once(worker, 'exit')
  worker.kill('SIGKILL')
  await exited
}
