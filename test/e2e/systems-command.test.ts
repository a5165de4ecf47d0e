/** `npm run systems` as a command: what fails is shown, what is told to end ends, nothing is left behind. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { isAlive, run } from '../support/payment-system.ts'
import { waitFor } from '../support/wait-for.ts'

const command = 'systems/all/src/main.ts'

function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync('ps', ['-eo', 'ppid=,pid='], { encoding: 'utf8' })
  const processes = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number))
  return processes.flatMap(([parent, child]) => (parent === pid ? [child!] : []))
}

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
