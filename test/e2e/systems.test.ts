/** `npm run systems`: all five systems show their point with a small load. What each must have shown is held here. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openTestCluster, uniqueName, type TestCluster } from '../support/cluster.ts'
import { run } from '../support/payment-system.ts'
import { hasRedis, openTestRedis } from '../support/redis.ts'

const command = 'systems/all/src/main.ts'
/** What each system prints, by its name. */
const printed = new Map<string, string>()

let cluster: TestCluster | undefined
before(async () => {
  if (process.env['KAFKA_BROKERS']) cluster = await openTestCluster()
})
after(() => cluster?.close())

test(
  'every system shows its point with a small load, and the summary says so',
  { timeout: 900_000 },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'milena-systems-test-'))
    t.after(() => rm(folder, { recursive: true }))
    const redis = hasRedis() ? await openTestRedis() : undefined
    t.after(() => redis?.close())
    const prefix = `${uniqueName('all')}-`
    // These two leave their topics, which they go on with in their next run; the others remove theirs.
    for (const topic of ['request-topic', 'reply-topic']) cluster?.own(`${prefix}hello-${topic}`)
    for (const topic of ['payment_request', 'payment_reply', 'payment_response', 'payment_relay_reply'])
      cluster?.own(`${prefix}payments-${topic}`)
    const args = ['--short', '--prefix', prefix, '--output', folder]
    const { status, stdout, stderr } = await run(args, { REDIS_URL: redis?.url }, command).ended
    for (const file of readdirSync(folder))
      printed.set(file.replace('.txt', ''), readFileSync(join(folder, file), 'utf8'))
    assert.equal(status, 0, stdout + stderr)
    const rows = [...stdout.matchAll(/^(\w+) +npm .+ +\d+ s +ok +\S.*$/gm)].map(([, name]) => name)
    assert.deepEqual(rows, ['payments', 'delivery', 'hello', 'coupons', 'exchange'])
  },
)

/** Reads in a system's tables the figures beside a title. */
function tablesOf(system: string): (title: string) => readonly number[] {
  const output = printed.get(system)!
  return (title) => {
    const line = output.split('\n').find((one) => one.startsWith(`${title}  `))
    assert.ok(line !== undefined, `no ${title} in ${output}`)
    const cells = line.slice(title.length).trim().split(/ {2,}/)
    return cells.map((figure) => Number.parseInt(figure, 10))
  }
}

/** Likewise, of a table with one figure beside each title. */
function figureOf(system: string): (title: string) => number {
  const figures = tablesOf(system)
  return (title) => figures(title)[0]!
}

test('payments: replies go to the wrong gateway only where one group shares one topic', () => {
  const output = printed.get('payments')!
  // Of each routing two rows: its name, requests, answered, lost to the wrong gateway, and more.
  const rows = output.split('\n').flatMap((line) => {
    const [, name, ...figures] = /^(\S.*?) +(\d+) +(\d+) +(\d+) +\d+ /.exec(line) ?? []
    return name === undefined ? [] : [{ name, figures: figures.map(Number) }]
  })
  const relayed = output.includes('without the relay through Redis')
    ? []
    : ['redisRelay', 'redisRelay, polling']
  if (hasRedis()) assert.equal(relayed.length, 2, output)
  const names = [
    'same group, one topic *',
    'instanceReplyTopic',
    'sharedReplyTopic',
    ...relayed,
    'replyPartition',
  ]
  assert.deepEqual(
    rows.map(({ name }) => name),
    [...names, ...names],
  )
  for (const { name, figures } of rows) {
    const [requests, answered, lost] = figures as [number, number, number]
    assert.equal(requests, 80, name)
    if (name.startsWith('same group')) assert.ok(lost > 0 && answered < requests, `${name} lost ${lost}`)
    else assert.equal(lost, 0, name)
  }
})

test('delivery: of the same storm request-reply loses nothing and keeps the order, and locks are counted beside it', () => {
  const output = printed.get('delivery')!
  const of = tablesOf('delivery')
  const withRedis = output.includes('Redis lock: a lock for each shop')
  assert.ok(withRedis || (!hasRedis() && output.includes('Redis lock: left out')), output)
  const ways = withRedis ? 4 : 3
  const ours = ways - 1
  for (const name of ['deadlocks', 'lock timeouts', 'made', 'failed, caller told'])
    assert.equal(of(name).length, ways, name)
  assert.deepEqual(
    of('changes fired'),
    Array.from({ length: ways }, () => 480),
  )
  for (const name of ['caller not told', 'lost', 'out of order, as accepted'])
    assert.equal(of(name)[ours], 0, `${name}: ${output}`)
  // Else the storm has shown nothing.
  for (const name of ['made', 'refused by the rules, caller told'])
    assert.ok(of(name)[ours]! > 0, `${name}: ${output}`)

  // Where the changes are made before the kill is due, no worker is killed.
  assert.match(output, /^4500 changes in /m)
  assert.match(output, /the model has read \d+ requests from the log and been held against 1500 shops/)
  assert.match(output, /every shop is what the model says/)
})

test('hello: what was asked over Kafka is answered over HTTP', () => {
  assert.match(printed.get('hello')!, /^out request : topic = \S+request-topic, [^]*-> 200 say : hello$/m)
})

test('coupons: worker, Mail API and coupon service are killed while mails are sent: of each sent gift there is one', () => {
  const output = printed.get('coupons')!
  const of = figureOf('coupons')
  assert.equal(of('gifts'), 60)
  assert.deepEqual([of('  sent'), of('  failed')], [57, 3])
  assert.deepEqual([of('mails in the mailbox'), of('  of a sent gift exactly one')], [57, 57])
  // Else the run has shown nothing.
  assert.ok(of('times that the Mail API was asked for a mail again') > 0, output)
  assert.match(output, /killed with SIGKILL +coupon 1, mail-worker 2, mail-api 1\n/)
})

test('exchange: services are killed, one is away, messages come twice: no money is lost, nothing is half done', () => {
  const of = figureOf('exchange')
  assert.match(
    printed.get('exchange')!,
    /^no money was lost or made, no exchange is half done, every caller was told right$/m,
  )
  assert.equal(of('exchanges'), 150)
  assert.equal(of('done') + of('undone'), 150)
  assert.equal(of('half done'), 0)
  // Else the run has shown nothing.
  for (const name of ['done', 'undone', 'of those compensated: money was moved, and moved back'])
    assert.ok(of(name) > 0, `${name}: ${printed.get('exchange')}`)
  assert.equal(of('dead-lettered'), of('of those replayed'))
  const killed = /services killed with SIGKILL +exchange (\d+), krw-account (\d+), fx-account (\d+)/.exec(
    printed.get('exchange')!,
  )
  assert.equal(
    killed!.slice(1).reduce((sum, times) => sum + Number(times), 0),
    3,
  )
})
