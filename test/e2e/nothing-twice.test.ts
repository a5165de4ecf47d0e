/**
 * Idempotency on PostgreSQL, dead letters, retry topics and retry in place together, while workers are killed between their
 * steps and requests come twice and thrice: nothing is done twice, and nothing is forgotten.
 */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, before, test } from 'node:test'
import { deadLetters, openKafka, type DeadLetter, type Replay, type Transport } from '@milena/request-reply'
import { migrate } from '@milena/postgres'
import { Asking, type Asked, type Question } from '../../packages/request-reply/test/asking.ts'
import { openTestCluster, type TestCluster } from '../support/cluster.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { waitFor } from '../support/wait-for.ts'
import { Worker } from '../support/worker.ts'
import { tables, type Order, type WorkerOptions } from './nothing-twice-worker.ts'

const partitions = 3
const orders = Number(process.env['ORDERS'] ?? 30)
const deaths = Number(process.env['DEATHS'] ?? 5)
/** With two, each death is a rebalance as well, and takes seconds. */
const members = Number(process.env['WORKERS'] ?? 1)
const chance = Number(process.env['CHANCE'] ?? 0.003)

let cluster: TestCluster
let database: TestDatabase
before(async () => {
  ;[cluster, database] = await Promise.all([openTestCluster(), openTestDatabase()])
  await migrate(database.pool)
  await database.pool.query(tables)
})
after(async () => {
  await cluster.close()
  await database.close()
})

/** One request, and all its copies. */
interface Accepted extends Order {
  readonly kind: 'answered' | 'one-way' | 'short of time'
  readonly copies: Asked[]
}

async function send(asking: Asking, i: number): Promise<Accepted> {
  const kind = i % 5 === 4 ? 'one-way' : i % 5 === 3 ? 'short of time' : 'answered'
  // Done at once, after a retry in place, after a retry topic, after the last one; and not at all.
  const request: Order = { order: `order ${i}`, fails: [0, 1, 3, 5, -1][i % 7] ?? 0 }
  const headers = [[Buffer.from('milena-idempotency-key'), Buffer.from(request.order)] as const]
  const special = (): Question => {
    if (kind === 'one-way') return { replyTo: null, correlationId: null }
    return kind === 'short of time' ? { deadline: Date.now() + 1_500 } : {}
  }
  const copies: Asked[] = []
  for (let copy = 0; copy <= i % 3; copy++) {
    const partition = randomInt(partitions)
    const question = { key: request.order, partition, headers }
    copies.push(await asking.ask(request, { ...question, ...special() }))
  }
  return { ...request, kind, copies }
}

async function counts(): Promise<Map<string, number>> {
  const { rows } = await database.pool.query<{ readonly what: string; readonly n: number }>(
    'SELECT what, count(*)::int AS n FROM effects GROUP BY what',
  )
  return new Map(rows.map(({ what, n }) => [what, n]))
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = []
  for await (const item of items) found.push(item)
  return found
}

/** Until everything that stands in the topics of the requests is committed. */
async function drained(transport: Transport, topic: string): Promise<void> {
  // In this order: what leaves one of them stands in the next before it is committed.
  for (const name of [topic, `${topic}-retry-1`, `${topic}-retry-2`])
    await waitFor(() => isCommitted(transport, topic, name), {
      what: `${name} to be done`,
      interval: 100,
      timeout: 60_000 + 20_000 * deaths,
    })
}

async function isCommitted(transport: Transport, group: string, topic: string): Promise<boolean> {
  await using tail = await transport.tail({ topic, partitions: 'all', from: 'latest', onRecords() {} })
  const notes = await transport.readCommittedOffsets(group, [topic])
  return tail.positions().every(({ partition, offset }) => {
    const note = notes.find((one) => one.partition === partition)
    return (note?.offset ?? 0) >= offset
  })
}

test('workers die between any two steps, requests come up to three times: every one ends, none is done twice', async (t) => {
  const topic = await cluster.createTopic('work', { partitions })
  const replies = await cluster.createTopic('work_reply')
  for (const own of ['-retry-1', '-retry-2', '-dlt', '-dlt-replays']) cluster.own(topic + own)
  const transport = await openKafka({ brokers: cluster.brokers })
  t.after(() => transport.close())
  await using asking = await new Asking(transport, topic, replies).open()
  const { brokers } = cluster
  const options = {
    brokers,
    topic,
    replies,
    databaseUrl: database.url,
    sessionTimeout: 6_000,
    deaths,
    chance,
  }
  const entry = new URL('nothing-twice-worker.ts', import.meta.url)
  const workers = ['one', 'two']
    .slice(0, members)
    .map((instance) => new Worker(entry, { ...options, instance } satisfies WorkerOptions))
  t.after(() => Promise.all(workers.map((worker) => worker.close())))

  const accepted: Accepted[] = []
  for (let i = 0; i < orders; i++) accepted.push(await send(asking, i))
  await waitFor(() => transport.describeTopics([`${topic}-dlt`]).then((found) => found.size > 0), {
    what: 'the topics to be there',
  })
  await drained(transport, topic)
  const died = async (): Promise<string[]> => {
    const { rows } = await database.pool.query<{ place: string }>('SELECT place FROM deaths')
    return rows.map(({ place }) => place)
  }
  const isEnough = async (): Promise<boolean> => deaths === 0 || (await died()).length > 0
  while (!(await isEnough())) {
    for (let i = 0; i < 10; i++) accepted.push(await send(asking, accepted.length))
    await drained(transport, topic)
  }

  await using letters = deadLetters({ transport, createTopics: true })
  const listed = async (): Promise<Set<string>> => {
    const found: DeadLetter[] = await all(letters.list({ topic }))
    return new Set(found.map(({ key }) => String(key)))
  }
  const kept = await listed()
  const done = await counts()
  for (const { order, kind, fails, copies } of accepted) {
    const times = done.get(order) ?? 0
    assert.ok(times <= 1, `${order} was done ${times} times`)
    if (fails < 0) assert.equal(times, 0, `${order} has failed, and left nothing`)
    if (kind === 'one-way') {
      assert.ok(times === 1 || kept.has(order), `${order}, which nobody waits for, is done or a letter`)
      continue
    }
    for (const copy of copies) {
      const answers = asking.repliesTo(copy)
      assert.ok(answers.length > 0, `every copy of ${order} has an answer`)
      const [{ text, error }] = answers as [(typeof answers)[0]]
      if (error === undefined) assert.deepEqual([text, times], [JSON.stringify(order), 1])
      else if (error.code === 'MILENA_DEAD_LETTERED') assert.ok(kept.has(order), `${order} is kept`)
      else assert.equal(kind, 'short of time', `${order}: ${error.code}`)
      if (error?.effect === 'done') assert.equal(times, 1)
    }
  }

  // What stands in the way is mended, and two operators replay all letters at once, until none is left.
  await database.pool.query('INSERT INTO healed VALUES (now())')
  for (let round = 0; round < 5; round++) {
    const replayed: Replay[][] = await Promise.all([
      all(letters.replay({ topic }, { dryRun: false, by: 'kim' })),
      all(letters.replay({ topic }, { dryRun: false, by: 'lee' })),
    ])
    const sent = replayed.flat().filter(({ verdict }) => verdict === 'replayed')
    const places = sent.map(({ letter }) => `${letter.partition}/${letter.offset}`)
    assert.equal(new Set(places).size, places.length, 'each letter once')
    if (sent.length === 0) break
    await drained(transport, topic)
  }
  const atLast = await counts()
  for (const [order, times] of atLast) assert.equal(times, 1, `${order} was done ${times} times`)
  for (const order of await listed()) assert.equal(atLast.get(order), 1, `${order} is done at last`)
  t.diagnostic(`deaths: ${(await died()).join(', ')}; letters: ${kept.size}`)
})
