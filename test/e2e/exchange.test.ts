/** `npm run exchange`: money is conserved while everything breaks, and the command would say if it were not. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { run } from '../support/payment-system.ts'

const command = 'systems/exchange/src/main.ts'

function exchange(...args: readonly string[]): ReturnType<typeof run>['ended'] {
  return run(args, {}, command).ended
}

/** What the table says of something. */
function figure(stdout: string, name: string): number {
  const line = stdout.split('\n').find((one) => one.startsWith(`${name}  `))
  assert.ok(line !== undefined, `no ${name} in ${stdout}`)
  return Number.parseInt(line.slice(name.length), 10)
}

test('services are killed, one is away, messages come twice: no money is lost, nothing is half done', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'milena-exchange-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const report = join(folder, 'report.md')
  const load = ['--exchanges', '150', '--rate', '30', '--kills', '3', '--down', '3']
  const { status, stdout, stderr } = await exchange(...load, '--report', report)
  assert.equal(status, 0, stdout + stderr)
  const of = (name: string): number => figure(stdout, name)
  assert.equal(of('exchanges'), 150)
  assert.equal(of('done') + of('undone'), 150)
  assert.equal(of('half done'), 0)
  // Else the run has shown nothing.
  for (const name of ['done', 'undone', 'of those compensated: money was moved, and moved back'])
    assert.ok(of(name) > 0, `${name}: ${stdout}`)
  assert.equal(of('dead-lettered'), of('of those replayed'))
  const killed = /services killed with SIGKILL +exchange (\d+), krw-account (\d+), fx-account (\d+)/.exec(
    stdout,
  )
  assert.equal(
    killed!.slice(1).reduce((sum, times) => sum + Number(times), 0),
    3,
  )
  assert.match(readFileSync(report, 'utf8'), /\| half done \| 0 \|[^]*No money was lost/)
})

test('a service that says it has cancelled, and has not, is found', async () => {
  const load = ['--exchanges', '150', '--rate', '50', '--kills', '0', '--down', '0']
  const { status, stdout, stderr } = await exchange(...load, '--defect')
  assert.equal(status, 1, stdout + stderr)
  assert.match(stdout, /x-\d+ is CANCELLED, and customer-\d+ KRW is [+-]\d+ instead of 0/)
})

test('options that cannot work are all told at once', async () => {
  const { status, stderr } = await exchange('--kills', '5', '--exchanges', '2', '--rate', 'fast')
  assert.equal(status, 2)
  assert.match(stderr, /^--rate must be .*; --kills 5 is more than .*; --help lists the options\n$/)
})
