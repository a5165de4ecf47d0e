/** `npm run exchange`: the command says if money is not conserved; that it is shows in systems.test.ts. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ExchangeSystem, faultless } from '@milena/system-exchange'
import { uniqueName } from '../support/cluster.ts'
import { ask, run } from '../support/payment-system.ts'
import { waitFor } from '../support/wait-for.ts'

// The system's processes get what this one was started with; they are no test files.
process.execArgv = ['--conditions=x-source']

const command = 'systems/exchange/src/main.ts'

function exchange(...args: readonly string[]): ReturnType<typeof run>['ended'] {
  return run(args, {}, command).ended
}

async function statusOf(system: ExchangeSystem): Promise<unknown> {
  return (await ask(`${system.urlOf('exchange')}/exchanges/x`)).body['status']
}

interface Balances {
  readonly KRW: number
  readonly USD: number
}

async function balances(system: ExchangeSystem): Promise<Balances> {
  const of = { KRW: 0, USD: 0 }
  for (const service of ['krw-account', 'fx-account'] as const) {
    const { body } = await ask(`${system.urlOf(service)}/accounts/c`)
    for (const { currency, balance } of body as unknown as { currency: string; balance: number }[])
      Object.assign(of, { [currency]: balance })
  }
  return of
}

test('a service that says it has cancelled, and has not, is found', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'milena-exchange-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const report = join(folder, 'report.md')
  const load = ['--exchanges', '150', '--rate', '50', '--kills', '0', '--down', '0']
  const { status, stdout, stderr } = await exchange(...load, '--defect', '--report', report)
  assert.equal(status, 1, stdout + stderr)
  assert.match(stdout, /x-\d+ is CANCELLED, and customer-\d+ KRW is [+-]\d+ instead of 0/)
  assert.match(
    readFileSync(report, 'utf8'),
    /\| exchanges \| 150 \|[^]*What did not hold:[^]* is CANCELLED, and /,
  )
})

test('a cancellation waits for a service that is away, and completes the exchange of a process that was killed meanwhile', async (t) => {
  const system = new ExchangeSystem({
    prefix: `${uniqueName('fx')}.`,
    port: 0,
    customers: ['c'],
    interferes: false,
    log: () => {},
  })
  t.after(() => system.close())
  await system.start({
    brokers: process.env['KAFKA_BROKERS'] || undefined,
    databaseUrl: process.env['DATABASE_URL'] || undefined,
  })
  const before = await balances(system)
  // Every deposit of won comes too late: nobody knows whether it was done.
  const late = { ...faultless, late: 1, lateMs: 4_000 }
  assert.equal((await ask(`${system.urlOf('krw-account')}/behaviour`, 'PUT', late)).status, 200)
  const body = { exchangeId: 'x', direction: 'SELL', customerId: 'c', currency: 'USD', amount: 10_000 }
  // What the account services would refuse is refused in front.
  const exchanges = `${system.urlOf('exchange')}/exchanges`
  assert.equal(
    (await ask(exchanges, 'POST', { ...body, exchangeId: 'y', amount: 1_000_000_000 })).status,
    400,
  )
  assert.equal((await ask(`${exchanges}/y`)).status, 404)
  assert.equal((await ask(`${system.urlOf('krw-account')}/accounts/%00`)).status, 400)
  const answered = ask(`${system.urlOf('exchange')}/exchanges`, 'POST', body)
  await waitFor(async () => (await balances(system)).USD === before.USD - 10_000, { what: 'the withdrawal' })
  await system.takeDown('fx-account')
  const answer = await answered
  assert.equal(answer.status, 422)
  assert.deepEqual([answer.body['code'], answer.body['exchangeStatus']], ['NOT_EXCHANGED', 'COMPENSATING'])

  system.kill('exchange')
  await waitFor(() => system.isUp('exchange'), { what: 'the exchange service', timeout: 60_000 })
  assert.equal(await statusOf(system), 'COMPENSATING')
  await system.bringUp('fx-account')
  await waitFor(async () => (await statusOf(system)) === 'CANCELLED', {
    what: 'the end of the exchange',
    timeout: 60_000,
  })
  assert.deepEqual(await balances(system), before)
})

test('options that cannot work are all told at once', async () => {
  const { status, stderr } = await exchange('--kills', '5', '--exchanges', '2', '--rate', 'fast')
  assert.equal(status, 2)
  assert.match(stderr, /^--rate must be .*; --kills 5 is more than .*; --help lists the options\n$/)
})
