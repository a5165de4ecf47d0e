/** `npm run systems` as a command: all systems' commands by one, their status its own, nothing left behind. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openTestCluster, uniqueName, type TestCluster } from '../support/cluster.ts'
import { isAlive, run } from '../support/payment-system.ts'
import { hasRedis, openTestRedis } from '../support/redis.ts'
import { waitFor } from '../support/wait-for.ts'

const command = 'systems/all/src/main.ts'

let cluster: TestCluster
before(async () => {
  cluster = await openTestCluster()
  for (const topic of ['request-topic', 'reply-topic']) cluster.own(topic)
})
after(() => cluster.close())

function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync('ps', ['-eo', 'ppid=,pid='], { encoding: 'utf8' })
  const processes = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number))
  return processes.flatMap(([parent, child]) => (parent === pid ? [child!] : []))
}

/** What each system prints, by its name. */
const printed = new Map<string, string>()

test(
  'every system shows its point with a small load, and the summary says so',
  { timeout: 900_000 },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'milena-systems-test-'))
    t.after(() => rm(folder, { recursive: true }))
    const redis = hasRedis() ? await openTestRedis() : undefined
    t.after(() => redis?.close())
    const prefix = `${uniqueName('all')}-`
    // The payment gateway's topics stay, for its command goes on with them; the others remove theirs.
    for (const topic of ['payment_request', 'payment_reply', 'payment_response', 'payment_relayed'])
      cluster.own(`${prefix}payments-${topic}`)
    const args = ['--short', '--prefix', prefix, '--output', folder]
    const brokers = process.env['KAFKA_BROKERS'] || ''
    const { status, stdout, stderr } = await run(
      args,
      { KAFKA_BROKERS: brokers, REDIS_URL: redis?.url },
      command,
    ).ended
    for (const file of readdirSync(folder))
      printed.set(file.replace('.txt', ''), readFileSync(join(folder, file), 'utf8'))
    assert.equal(status, 0, stdout + stderr)
    const rows = [...stdout.matchAll(/^(\w+) +npm .+ +\d+ s +ok +\S.*$/gm)].map(([, name]) => name)
    assert.deepEqual(rows, ['payments', 'delivery', 'hello', 'coupons', 'exchange'])
  },
)

/** What a table of two columns says of something. */
function figure(system: string, name: string): number {
  const line = printed
    .get(system)!
    .split('\n')
    .find((one) => one.startsWith(`${name}  `))
  assert.ok(line !== undefined, `no ${name} in ${printed.get(system)}`)
  return Number.parseInt(line.slice(name.length), 10)
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

test('hello: what was asked over Kafka is answered over HTTP', () => {
  assert.match(printed.get('hello')!, /^out request : topic = request-topic, [^]*-> 200 say : hello$/m)
})

test('exchange: services are killed, one is away, messages come twice: no money is lost, nothing is half done', () => {
  const of = (name: string): number => figure('exchange', name)
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

test('a system that does not show its point is shown with what it printed, and the status is 1', async () => {
  const { status, stdout } = await run(['--only', 'hello'], { KAFKA_BROKERS: '127.0.0.1:9' }, command).ended
  assert.equal(status, 1)
  assert.match(stdout, /^hello: FAILED: status 2, /)
  assert.match(stdout, /^ {2}hello \| no broker answers at 127\.0\.0\.1:9/m)
  assert.match(stdout, /^hello .* FAILED +status 2: no broker answers/m)
})

test('when it is told to end, it ends the system that runs, with its processes, before itself', async () => {
  const runner = run(['--only', 'hello'], { KAFKA_BROKERS: '' }, command)
  // The system's command, and at least one of its parts.
  const started = await waitFor(
    () => {
      const [system] = childrenOf(runner.process.pid!)
      const parts = system === undefined ? [] : childrenOf(system)
      return parts.length > 0 && [system!, ...parts]
    },
    { what: 'the system to have processes', timeout: 60_000 },
  )
  runner.process.kill('SIGTERM')
  await runner.ended
  assert.deepEqual(started.filter(isAlive), [])
})

test('what cannot be chosen is one line and status 2', async () => {
  const { status, stderr } = await run(['--only', 'hello,refunds'], {}, command).ended
  assert.equal(status, 2)
  assert.match(stderr, /^--only refunds: choose from payments, .*; --help lists the options\n$/)
})
