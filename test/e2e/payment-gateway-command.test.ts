/** `npm run payments` as a command: it says what is wrong, and leaves nothing behind. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ask, isAlive, PaymentSystem, run, type SystemState } from '../support/payment-system.ts'
import { waitFor } from '../support/wait-for.ts'

async function assertRefused(run: ReturnType<typeof runSmall>, what: RegExp): Promise<void> {
  const { status, stderr } = await run.ended
  assert.equal(status, 2, stderr)
  assert.match(stderr, what)
  assert.equal(stderr.trim().split('\n').length, 1, stderr)
}

function runSmall(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  return run(['--gateways', '1', '--workers', '1', ...args], env)
}

/** Every process of a system, the database's server included by its port. */
function pidsOf({ pid, gateways, workers, provider }: SystemState): number[] {
  return [pid, provider.pid, ...gateways.map(({ pid }) => pid), ...workers.map(({ pid }) => pid)]
}

async function waitUntilGone(state: SystemState, address: string): Promise<void> {
  await waitFor(() => !pidsOf(state).some(isAlive), { what: 'every process to be gone' })
  await waitFor(() => refuses(address), { what: `nothing to listen at ${address}` })
}

function refuses(address: string): Promise<boolean> {
  return ask(`http://${address}/`).then(
    () => false,
    (error: { cause?: { code?: string } }) => error.cause?.code === 'ECONNREFUSED',
  )
}

test('an option that does not exist is status 2 and one line', () =>
  assertRefused(runSmall(['--galaxies', '2']), /--galaxies.*--help/))

test('an option of the comparison that does not exist is status 2 and one line', () =>
  assertRefused(
    run(['--quickly'], {}, 'systems/payment-gateway/src/compare/main.ts'),
    /^Unknown option '--quickly'; --help lists the options\n$/,
  ))

test('options that cannot work are all told at once', () =>
  assertRefused(runSmall(['--port', 'x', '--routing', 'pigeon']), /--routing must be one of.*--port must be/))

test('a port that is taken is status 2 and one line', async (t) => {
  const server = createServer()
  t.after(() => server.close())
  const port = await new Promise<number>((resolve) => {
    server.listen({ host: '127.0.0.1', port: 0 }, () => resolve((server.address() as { port: number }).port))
  })
  await assertRefused(runSmall(['--port', String(port)]), /port \d+ is taken.*--port/)
})

test('brokers that do not answer are status 2 and one line', () =>
  assertRefused(runSmall(['--port', '0'], { KAFKA_BROKERS: '127.0.0.1:1' }), /127\.0\.0\.1:1.*KAFKA_BROKERS/))

test('a database that does not answer is status 2 and one line, without the password', () =>
  assertRefused(
    runSmall(['--port', '0'], { DATABASE_URL: 'postgres://me:secret@127.0.0.1:1/x' }),
    /^(?!.*secret).*127\.0\.0\.1:1.*DATABASE_URL/,
  ))

test('kill -9 of the command ends every process, the database server included', async () => {
  const system = await PaymentSystem.start(['--gateways', '1', '--workers', '1'])
  const state = system.state()
  process.kill(state.pid, 'SIGKILL')
  await system.close()
  await waitUntilGone(state, new URL(state.database).host)
})

test('kill -9 of npm, which started the command, ends every process', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'milena-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'state.json')
  const args = ['--gateways', '1', '--workers', '1', '--port', '0', '--state', file]
  // Through npm as a person does; its own embedded broker and database, whatever the tests run on.
  const { KAFKA_BROKERS: _brokers, DATABASE_URL: _database, ...env } = process.env
  const npm = spawn('npm', ['run', 'payments', '--', ...args], { env, stdio: 'ignore' })
  const state = await waitFor(() => JSON.parse(readFileSync(file, 'utf8')) as SystemState, {
    what: 'the system to be ready',
    timeout: 180_000,
  })
  npm.kill('SIGKILL')
  await waitUntilGone(state, new URL(state.database).host)
})

test('a supervised process that dies is started again, where it was; SIGTERM ends every process, the database server included', async (t) => {
  const args = ['--supervise', '--gateways', '1', '--workers', '1', '--timeout', '20000']
  const system = await PaymentSystem.start(args)
  t.after(() => system.close())
  const before = system.state()
  const order = { orderId: 'o-1', amount: 100, method: 'wallet' }
  assert.equal((await system.pay(system.gateway(0), order)).status, 200)
  for (const pid of [before.gateways[0]!.pid, before.workers[0]!.pid, before.provider.pid]) {
    process.kill(pid, 'SIGKILL')
  }
  const isRestarted = ({ gateways: [gateway], workers: [worker], provider }: SystemState) =>
    gateway !== undefined &&
    gateway.pid !== before.gateways[0]!.pid &&
    worker !== undefined &&
    worker.pid !== before.workers[0]!.pid &&
    provider.pid !== before.provider.pid
  await waitFor(() => isRestarted(system.state()), { what: 'all three to be restarted' })
  const next = await waitFor(
    async () => {
      const answer = await system.pay(system.gateway(0), { ...order, orderId: `o-${Date.now()}` })
      return answer.status === 200 && answer
    },
    { what: 'a payment to be approved' },
  )
  assert.equal(next.body['status'], 'approved')
  // Only now: the file may name a process that is still starting, with what the one before it has said.
  assert.equal(system.gateway(0), before.gateways[0]!.url)
  assert.equal((await system.ledger('o-1')).length, 1, 'the provider still has its books')
  const state = system.state()
  const { status } = await system.close()
  assert.equal(status, 0)
  await waitUntilGone(state, new URL(state.database).host)
})

test('Ctrl-C says what it waits for; a second one leaves no process behind', async () => {
  const system = await PaymentSystem.start([
    '--gateways',
    '1',
    '--workers',
    '1',
    '--provider-delay',
    '60000',
    '--timeout',
    '60000',
  ])
  const state = system.state()
  const order = { orderId: 'o-1', amount: 100, method: 'card' }
  const broken = system.pay(system.gateway(0), order).catch(() => 'broken off')
  await waitFor(async () => (await ask(`${system.gateway(0)}/stats`)).body['inHand'] === 1, {
    what: 'the payment in hand',
  })
  let said = ''
  system.run.process.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()))
  system.run.process.kill('SIGINT')
  await waitFor(() => said !== '', { what: 'the command to say that it ends' })
  assert.match(
    said,
    /^ending: waits for the payments that the gateways have in hand, up to 15 s; SIGINT again ends it at once\n$/,
  )
  // At first it counts as the same one, which npm has handed on.
  await waitFor(() => !system.run.process.kill('SIGINT'), { what: 'the command to end' })
  const { status } = await system.run.ended
  // That of one that has waited is 0.
  assert.equal(status, 1)
  await waitUntilGone(state, new URL(state.database).host)
  await broken
  await system.close()
})
