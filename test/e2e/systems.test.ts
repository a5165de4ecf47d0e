/** `npm run systems` as a command: all systems' commands by one, their status its own, nothing left behind. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openTestCluster, type TestCluster } from '../support/cluster.ts'
import { isAlive, run } from '../support/payment-system.ts'
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

test('it runs what is chosen on the brokers that are named, keeps what that prints, and sums it up', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'milena-systems-test-'))
  t.after(() => rm(folder, { recursive: true }))
  const args = ['--only', 'hello', '--output', folder]
  const { status, stdout, stderr } = await run(args, { KAFKA_BROKERS: cluster.brokers.join(',') }, command)
    .ended
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /^hello: ok, [\d.]+ s\n\nsystem +command +took +status +what it showed\n/)
  assert.match(
    stdout,
    /\nhello +npm run hello -- --exit +\d+ s +ok +GET \/test\/sendEvent\?str=hello -> 200 say : hello\n$/,
  )
  const kept = readFileSync(join(folder, 'hello.txt'), 'utf8')
  assert.match(kept, /^out request : topic = request-topic, /m)
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
