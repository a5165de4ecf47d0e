/** The delivery radius system, as its callers see it, while workers are killed and paused. */
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { encodeHeaders, openKafka, type IncomingRecord } from '@milena/request-reply'
import { randomBytes } from 'node:crypto'
import { connect, DeliverySystem } from '@milena/system-delivery-radius'
import { Client, escapeIdentifier, type Pool } from 'pg'
import { uniqueName } from '../support/cluster.ts'
import { readAll, shopsByLog, storedShops } from '../support/delivery-shops.ts'
import { ask, post, type Answer } from '../support/payment-system.ts'
import { waitFor } from '../support/wait-for.ts'
import { kinds } from '../../systems/delivery-radius/src/domain/radius.ts'

// The system's processes get what this one was started with; they are no test files.
process.execArgv = ['--conditions=x-source']

const shops = 3_000
let system: DeliverySystem
let pool: Pool
/** The numbers of the shops of the next test: each has some of its own. */
let next = 1

before(async () => {
  const prefix = `${uniqueName('dr')}.`
  system = new DeliverySystem({ prefix, port: 0, requesters: 2, workers: 2, shops, log: () => {} })
  await system.start({
    brokers: process.env['KAFKA_BROKERS'] || undefined,
    databaseUrl: process.env['DATABASE_URL'] || undefined,
  })
  pool = await connect(system.databaseUrl, 2)
})
after(async () => {
  await pool?.end()
  await system.close()
})
// Whatever was done, in whatever way: the shops are as the order of acceptance has it.
afterEach(async () => assert.deepEqual(await storedShops(pool), await shopsByLog(system)))

interface Trigger {
  readonly url: string
  readonly id: string
}

interface Listed {
  readonly id: string
  readonly shop: string
  readonly status: string
  readonly code: string
}

function url(requester: number): string {
  return system.requesters[requester - 1]!.url
}

/** The server's own database, from which others can be closed. */
function serverUrl(): string {
  const at = new URL(process.env['DATABASE_URL'] || system.databaseUrl)
  if (!process.env['DATABASE_URL']) at.pathname = '/postgres'
  return at.href
}

function take(count: number): string[] {
  return Array.from({ length: count }, () => `shop-${next++}`)
}

async function begin(requester: number, body: unknown): Promise<Trigger> {
  const answer = await post(`${url(requester)}/triggers`, body)
  assert.equal(answer.status, 202, JSON.stringify(answer.body))
  return { url: `${url(requester)}${answer.headers.get('location')}`, id: String(answer.body['id']) }
}

/** What became of a trigger's changes. */
async function finished(trigger: Trigger): Promise<unknown> {
  const { body } = await waitFor(
    async () => {
      const answer = await ask(trigger.url)
      return answer.body['finished'] === true && answer
    },
    { what: 'the end of a trigger', timeout: 90_000, interval: 50 },
  )
  const { done, failed, unknown } = body
  return { done, failed, unknown }
}

function someDone(trigger: Trigger): Promise<unknown> {
  return waitFor(async () => ((await ask(trigger.url)).body['done'] as number) > 0, { what: 'some changes' })
}

async function listed(query: string, trigger: Trigger): Promise<Listed[]> {
  const { body } = await ask(`${url(2)}/changes?limit=1000&${query}`)
  return (body['changes'] as (Listed & { trigger: string })[]).filter((each) => each.trigger === trigger.id)
}

function retry(id: string): Promise<Answer> {
  return ask(`${url(1)}/changes/${encodeURIComponent(id)}/retry`, 'POST')
}

test('client A changes A, B, C and D while client B changes B and D: both learn what became of each, and the order of acceptance counts', async () => {
  const [a, b, c, d] = take(4)
  for (const action of ['begin', 'end', 'begin', 'end', 'begin']) {
    const triggers = await Promise.all([
      begin(1, { kind: 'bad-weather', action, shops: [a, b, c, d] }),
      begin(2, { kind: 'system-failure', action, shops: [b, d] }),
    ])
    assert.deepEqual(await finished(triggers[0]), { done: 4, failed: 0, unknown: 0 })
    assert.deepEqual(await finished(triggers[1]), { done: 2, failed: 0, unknown: 0 })
  }
  const stored = await storedShops(pool)
  for (const shop of [a!, c!]) assert.deepEqual(stored[shop]!.active, ['bad-weather'])
  for (const shop of [b!, d!])
    assert.deepEqual(stored[shop]!.active.toSorted(), ['bad-weather', 'system-failure'])
  // Each read a partition of its own.
  for (const requester of [1, 2]) {
    const { body } = await ask(`${url(requester)}/stats`)
    assert.equal((body['requester'] as { readonly foreign: number }).foreign, 0)
  }
})

test('changes that fail stand in the list of failed ones, and can be tried again', async () => {
  const [one, other] = take(2)
  await finished(await begin(1, { kind: 'bad-weather', action: 'begin', shops: [one] }))
  const trigger = await begin(2, { kind: 'bad-weather', action: 'begin', shops: [one, other, 'nowhere'] })
  assert.deepEqual(await finished(trigger), { done: 1, failed: 2, unknown: 0 })
  const failed = (await listed('status=failed', trigger)).toSorted((x, y) => x.code.localeCompare(y.code))
  assert.deepEqual(
    failed.map(({ shop, code, status }) => [shop, code, status]),
    [
      [one, 'ALREADY_ACTIVE', 'failed'],
      ['nowhere', 'SHOP_UNKNOWN', 'failed'],
    ],
  )
  const { id } = failed[0]!
  const inVain = await retry(id)
  assert.deepEqual(
    [inVain.status, inVain.body['status'], inVain.body['code']],
    [200, 'failed', 'ALREADY_ACTIVE'],
  )
  await finished(await begin(1, { kind: 'bad-weather', action: 'end', shops: [one] }))
  const done = await retry(id)
  assert.deepEqual([done.status, done.body['status'], done.body['code']], [200, 'done', null])
  assert.deepEqual((await storedShops(pool))[one!]!.active, ['bad-weather'])
  assert.deepEqual(
    (await listed('status=failed', trigger)).map(({ shop }) => shop),
    ['nowhere'],
  )
  assert.equal((await retry(id)).status, 409)
  assert.equal((await retry('nothing')).status, 404)
})

test('the list of failed changes comes in pages', async () => {
  const trigger = await begin(1, { kind: 'bad-weather', action: 'end', shops: take(5) })
  assert.deepEqual(await finished(trigger), { done: 0, failed: 5, unknown: 0 })
  const all = await ask(`${url(1)}/changes`)
  const ids: string[] = []
  for (let query = '?limit=2'; ;) {
    const { body } = await ask(`${url(1)}/changes${query}`)
    const { changes, next } = body as { changes: Listed[]; next?: string }
    ids.push(...changes.map(({ id }) => id))
    if (next === undefined) break
    query = `?limit=2&after=${encodeURIComponent(next)}`
  }
  assert.deepEqual(
    ids,
    (all.body['changes'] as Listed[]).map(({ id }) => id),
  )
})

test('changes without a reply in time are unknown, and a late reply moves them to what they became', async () => {
  const locked = await pool.connect()
  let trigger: Trigger
  try {
    await locked.query('begin; lock table shops in exclusive mode')
    // One, which begins at once: what waits for a batch until nobody wants it any more is not made.
    trigger = await begin(1, { kind: 'bad-weather', action: 'begin', shops: take(1), timeout: 3_000 })
    assert.deepEqual(await finished(trigger), { done: 0, failed: 0, unknown: 1 })
    const [first] = await listed('status=unknown', trigger)
    assert.equal(first!.code, 'MILENA_TIMEOUT')
    // It may yet be made.
    assert.equal((await retry(first!.id)).status, 409)
  } finally {
    await locked.query('rollback')
    locked.release()
  }
  await waitFor(async () => (await ask(trigger.url)).body['done'] === 1, { what: 'the late reply' })
  await waitFor(async () => (await listed('status=unknown', trigger)).length === 0, { what: 'the list' })
})

test('a requester is killed in the middle of a trigger: whoever asks any requester is told, and beginning it again makes the rest', async () => {
  const named = take(200)
  const body = { kind: 'rider-shortage', action: 'begin', shops: named }
  const locked = await pool.connect()
  let trigger: Trigger
  try {
    await locked.query('begin; lock table shops in exclusive mode')
    trigger = await begin(2, body)
    assert.equal((await ask(trigger.url)).body['state'], 'running')
    system.kill('requester-2')
    await waitFor(() => system.isUp('requester-2'), { what: 'requester-2' })
  } finally {
    await locked.query('rollback')
    locked.release()
  }
  for (const requester of [1, 2]) {
    const { status, body: told } = await ask(`${url(requester)}/triggers/${trigger.id}`)
    assert.equal(status, 200)
    const { state, finished: isFinished, total, requester: by } = told
    assert.deepEqual([state, isFinished, total, by], ['interrupted', false, 200, 'requester-2'])
    const events = await (await fetch(`${url(requester)}/triggers/${trigger.id}/events`)).text()
    assert.match(events, /^data: .*"interrupted".*\n\n$/)
  }
  const again = await begin(1, body)
  const { done, failed, unknown } = (await finished(again)) as Record<string, number>
  assert.deepEqual([done! + failed!, unknown], [200, 0])
  const codes = new Set((await listed('status=failed', again)).map(({ code }) => code))
  assert.deepEqual([...codes], failed === 0 ? [] : ['ALREADY_ACTIVE'])
  const stored = await storedShops(pool)
  for (const shop of named) assert.deepEqual(stored[shop]!.active, ['rider-shortage'])
})

test('the database goes away in the middle of a trigger: when it is back everything goes on by itself', async () => {
  const range = { from: next, to: shops }
  const server = new Client({ connectionString: serverUrl() })
  await server.connect()
  const name = new URL(system.databaseUrl).pathname.slice(1)
  // While it has the table, a worker cannot write what it has in hand.
  const locked = await pool.connect()
  let trigger: Trigger
  try {
    const { rows } = await locked.query<{ pid: number }>('select pg_backend_pid() as pid')
    await locked.query('begin; lock table shops in exclusive mode')
    trigger = await begin(1, { kind: 'bad-weather', action: 'begin', shops: range })
    const waiting = `select from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'`
    await waitFor(async () => (await server.query(waiting, [name])).rowCount! > 0, {
      what: 'a worker that wants to write',
    })
    await server.query(`alter database ${escapeIdentifier(name)} with allow_connections false`)
    const others = 'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> $2'
    await server.query(others, [name, rows[0]!.pid])
    await waitFor(async () => (await ask(`${url(1)}/changes`)).status === 500, { what: 'no database' })
    await server.query(`alter database ${escapeIdentifier(name)} with allow_connections true`)
  } finally {
    locked.release(true)
    await server.end()
  }
  const all = shops - next + 1
  assert.deepEqual(await finished(trigger), { done: all, failed: 0, unknown: 0 })
  // As it was, for the tests that follow.
  assert.deepEqual(await finished(await begin(2, { kind: 'bad-weather', action: 'end', shops: range })), {
    done: all,
    failed: 0,
    unknown: 0,
  })
})

test('workers are killed, and one is paused for longer than its session: no change is lost, made twice or out of order', async () => {
  const range = { from: next, to: shops }
  const all = { done: shops - next + 1, failed: 0, unknown: 0 }
  const everywhere = (action: string): Promise<Trigger[]> =>
    Promise.all(kinds.map((kind, index) => begin((index % 2) + 1, { kind, action, shops: range })))
  const allDone = async (triggers: readonly Trigger[]): Promise<void> => {
    for (const trigger of triggers) assert.deepEqual(await finished(trigger), all)
  }

  for (const action of ['begin', 'end']) {
    const triggers = await everywhere(action)
    await someDone(triggers[0]!)
    system.kill('worker-1')
    await waitFor(() => system.isUp('worker-1'), { what: 'worker-1' })
    system.kill('worker-2')
    await allDone(triggers)
    await waitFor(() => system.isUp('worker-2'), { what: 'worker-2' })
  }

  const triggers = await everywhere('begin')
  await someDone(triggers[0]!)
  system.pause('worker-2')
  try {
    // Its partitions have gone to the other one, or these would not end.
    await allDone(triggers)
    const more = await everywhere('end')
    await someDone(more[0]!)
    system.resume('worker-2')
    await allDone(more)
  } finally {
    system.resume('worker-2')
  }
})

test('a sender that knows nothing of us is answered, and one that would break the order of a shop is refused', async () => {
  const [shop] = take(1)
  const message = {
    id: 'theirs',
    target: 'a shop',
    key: shop,
    type: 'delivery-radius.change',
    data: { kind: 'bad-weather', action: 'begin' },
    // Java's LocalDateTime.
    requestedAt: '2026-11-28T18:30:00.123',
  }
  const send = async (key: string): Promise<string> => {
    const correlationId = randomBytes(16)
    await using transport = await openKafka({ brokers: system.brokers.split(',') })
    await transport.send({
      topic: system.topics.topic,
      key: Buffer.from(key),
      value: Buffer.from(JSON.stringify(message)),
      headers: encodeHeaders({
        kafka_replyTopic: system.topics.replyTopic,
        kafka_correlationId: correlationId,
      }),
    })
    return correlationId.toString('hex')
  }
  const ids = [await send(shop!), await send('another key')]
  const replies = await waitFor(
    async () => {
      const found = new Map<string, IncomingRecord>()
      await readAll(system, system.topics.replyTopic, (record) => {
        for (const [name, value] of record.headers)
          if (String(name) === 'kafka_correlationId') found.set(value!.toString('hex'), record)
      })
      return ids.every((id) => found.has(id)) && ids.map((id) => found.get(id)!)
    },
    { what: 'both replies' },
  )
  const changed = JSON.parse(String(replies[0]!.value)) as { readonly shop: string; readonly radius: number }
  assert.deepEqual([changed.shop, changed.radius], [shop, 1_200])
  const headers = replies[1]!.headers.map(([name, value]) => `${String(name)}: ${String(value)}`)
  assert.ok(headers.includes('milena-error-code: KEY_MISMATCH'), headers.join('; '))
})

test('how far a trigger is comes as events, until it has finished', async () => {
  const trigger = await begin(1, { kind: 'system-failure', action: 'begin', shops: { from: 1, to: shops } })
  const response = await fetch(`${trigger.url}/events`)
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  const events = (await response.text()).trimEnd().split('\n\n')
  const told = events.map((event) => JSON.parse(event.slice('data: '.length)) as Record<string, unknown>)
  assert.equal(told[0]!['total'], shops)
  assert.deepEqual(told.map(({ finished }) => finished).lastIndexOf(false), told.length - 2)
  assert.equal((told.at(-1)!['done'] as number) + (told.at(-1)!['failed'] as number), shops)
})

test('a requester describes itself, and says what is wrong with a request', async () => {
  const { body } = await ask(`${url(1)}/openapi.json`)
  assert.match(String(body['openapi']), /^3\.1\./)
  for (const path of [
    '/triggers',
    '/triggers/{id}',
    '/triggers/{id}/events',
    '/changes',
    '/changes/{id}/retry',
  ])
    assert.ok(path in (body['paths'] as object), path)
  const wrong = await post(`${url(1)}/triggers`, { kind: 'fog', action: 'begin', shops: { from: 2, to: 1 } })
  assert.equal(wrong.status, 400)
  assert.match(String(wrong.body['detail']), /kind: .*shops/)
  assert.match(String(wrong.headers.get('content-type')), /^application\/problem\+json/)
  const twice = await post(`${url(1)}/triggers`, { kind: kinds[0], action: 'begin', shops: ['a', 'a'] })
  assert.equal(twice.status, 400)
  const unkept = await post(`${url(1)}/triggers`, { kind: kinds[0], action: 'begin', shops: ['a\0'] })
  assert.equal(unkept.status, 400)
  for (const path of ['/triggers/%00', '/changes?after=%00'])
    assert.equal((await ask(`${url(1)}${path}`)).status, 400, path)
  assert.equal((await ask(`${url(1)}/triggers/nobodys`)).status, 404)
  assert.equal((await ask(`${url(1)}/triggers/nobodys/events`)).status, 404)
  assert.equal((await ask(`${url(1)}/changes?status=lost`)).status, 400)
  const most = Array.from({ length: 5_000 }, (_, number) => `${number}`.padEnd(100, 'x'))
  const large = await post(`${url(1)}/triggers`, { kind: kinds[0], action: 'begin', shops: most })
  assert.equal(large.status, 202)
  await finished({ url: `${url(1)}${large.headers.get('location')}`, id: '' })
  assert.equal((await ask(`${url(1)}/changes`, 'DELETE')).status, 405)
  const nowhere = await ask(`${url(1)}/changes?after=nothing`)
  assert.equal(nowhere.status, 400)
  assert.match(String(nowhere.body['detail']), /there is no change nothing/)
})
