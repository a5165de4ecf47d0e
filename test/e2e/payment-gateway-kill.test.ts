/**
 * Money under kill -9: workers and gateways are killed at random moments while payments and refunds run.
 *
 * PAYMENTS=2000 sets how many (default 240); SEED=… repeats the kills' choices; ROUTING=… is another reply routing
 * than the default.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { ask, PaymentSystem, type Answer } from '../support/payment-system.ts'
import { waitFor } from '../support/wait-for.ts'

const payments = Number(process.env['PAYMENTS'] ?? 240)
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const routing = process.env['ROUTING'] ?? 'replyPartition'
const callers = 32
/** Milliseconds that a gateway lets its caller wait. */
const timeout = 4_000
/** Every so many orders part of it is refunded. */
const refundEvery = 10
const methods = ['card', 'bank', 'wallet'] as const

/** What the caller of one payment or refund was told, at last. */
interface Told {
  readonly id: string
  readonly orderId: string
  readonly kind: 'charge' | 'refund'
  readonly amount: number
  readonly status: number
  readonly body: Answer['body']
}

interface Row {
  readonly id: string
  readonly order_id: string
  readonly kind: 'charge' | 'refund'
  readonly amount: number
  readonly state: string
  readonly approval_id: string | null
}

test(`${payments} payments under kill -9: charged at most once, told the truth, none left hanging`, async (t) => {
  t.diagnostic(`SEED=${seed}`)
  const system = await PaymentSystem.start([
    '--supervise',
    '--routing',
    routing,
    '--timeout',
    String(timeout),
    '--provider-delay',
    '20',
  ])
  const told: Told[] = []
  try {
    const kills = killAtRandom(system, told)
    await payAll(system, told)
    t.diagnostic(`killed ${await kills}`)
    // What is checked holds, too, where nothing is ever charged.
    let more = payments
    await waitFor(async () => (await payOne(system, more++, told)).status === 200, {
      what: 'a payment to be approved after the kills',
      timeout: 120_000,
    })

    const rows = await waitFor(
      async () => {
        const rows = await readPayments(system)
        return rows.every(({ state }) => state !== 'pending' && state !== 'unknown') && rows
      },
      { what: 'no payment to be pending or unknown', timeout: 120_000, interval: 100 },
    )
    check(told, rows, await system.ledger())
    const counts = Object.groupBy(told, ({ status }) => String(status))
    t.diagnostic(
      Object.entries(counts)
        .map(([status, all]) => `${status}: ${all!.length}`)
        .join(', '),
    )
  } finally {
    await system.close()
  }
})

async function payAll(system: PaymentSystem, told: Told[]): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (next < payments) {
        const index = next++
        const { id: orderId, status } = await payOne(system, index, told)
        if (status !== 200 || index % refundEvery !== 0) continue
        const refund = { amount: 1 + (index % 900), refundId: 'r-1' }
        const refunded = await insist((gateway) => system.refund(gateway, orderId, refund), system, index)
        const id = `${orderId}/${refund.refundId}`
        told.push({ id, orderId, kind: 'refund', amount: refund.amount, ...refunded })
      }
    }),
  )
}

async function payOne(system: PaymentSystem, index: number, told: Told[]): Promise<Told> {
  const order = { orderId: `o-${index}`, amount: 1_000 + index, method: methods[index % 3]! }
  const answer = await insist((gateway) => system.pay(gateway, order), system, index)
  const one: Told = { id: order.orderId, kind: 'charge', ...order, ...answer }
  told.push(one)
  return one
}

/** Sends the same again until some gateway answers with more than "not now": as a caller would whose connection broke. */
async function insist(
  send: (gateway: string) => Promise<Answer>,
  system: PaymentSystem,
  index: number,
): Promise<Answer> {
  for (let tries = index; ; tries++) {
    const { gateways } = system.state()
    const gateway = gateways[tries % Math.max(1, gateways.length)]
    try {
      const answer = gateway && (await send(gateway.url))
      if (answer !== undefined && answer.status !== 503) return answer
    } catch {
      // Its gateway died. Whether the payment was made is for the gateways to know.
    }
    await sleep(50)
  }
}

/**
 * Kills a process at random, whether or not the last one is back, each time that 40 to 120 more callers have been
 * answered: so the kills keep pace with the machine, and the system never stands still for good. One of each kind dies in
 * any case. Says how many.
 */
async function killAtRandom(system: PaymentSystem, told: readonly Told[]): Promise<string> {
  const random = sequence(seed)
  const killed = { gateways: 0, workers: 0 }
  for (let due = 20; due < payments; due += 40 + random() * 80) {
    while (told.length < due) await sleep(10)
    await sleep(random() * 100)
    const unharmed = (['gateways', 'workers'] as const).find((each) => killed[each] === 0)
    const kind = unharmed ?? (random() < 0.5 ? 'gateways' : 'workers')
    const which = random()
    await waitFor(
      () => {
        const alive = system.state()[kind]
        // Where the state file is a moment behind, this throws.
        return process.kill(alive[Math.floor(which * alive.length)]!.pid, 'SIGKILL')
      },
      { what: `one of the ${kind} to kill` },
    )
    killed[kind]++
  }
  await waitFor(() => system.state().gateways.length === 2 && system.state().workers.length === 2, {
    what: 'everything to be restarted',
  })
  return `${killed.gateways} gateways and ${killed.workers} workers`
}

function check(
  told: readonly Told[],
  rows: readonly Row[],
  ledger: Awaited<ReturnType<PaymentSystem['ledger']>>,
): void {
  assert.ok(told.length >= payments)
  const booked = new Map<string, typeof ledger>()
  for (const entry of ledger) {
    const id = entry.kind === 'charge' ? entry.orderId : `${entry.orderId}/r-1`
    booked.set(id, [...(booked.get(id) ?? []), entry])
  }
  for (const [id, entries] of booked)
    assert.equal(entries.length, 1, `${id} was booked ${entries.length} times`)

  const known = new Map(rows.map((row) => [row.id, row]))
  assert.equal(known.size, rows.length)
  for (const { id, amount, status, body } of told) {
    const row = known.get(id)
    assert.ok(row, `${id} was answered with ${status} and is not written down`)
    assert.equal(row.amount, amount)
    const entry = booked.get(id)?.[0]
    if (status === 200) {
      assert.equal(entry?.approvalId, body['approvalId'], `${id}: told approved`)
      assert.equal(row.state, 'approved')
    } else if (status === 502 && body['paymentStatus'] === 'failed') {
      assert.equal(entry, undefined, `${id}: told failed and yet booked`)
    } else assert.equal(status, 504, `${id}: ${status} ${JSON.stringify(body)}`)
  }

  // Conservation: what is written down as approved is exactly what the provider has booked.
  for (const { id, state, amount, approval_id } of rows) {
    const entry = booked.get(id)?.[0]
    assert.equal(state === 'approved', entry !== undefined, `${id}: ${state}, booked: ${entry !== undefined}`)
    if (entry !== undefined) assert.deepEqual([entry.amount, entry.approvalId], [amount, approval_id])
  }
  for (const id of booked.keys()) assert.ok(known.has(id), `${id} was booked and is not written down`)
}

async function readPayments(system: PaymentSystem): Promise<Row[]> {
  const client = new Client({
    connectionString: system.state().database,
    options: `-c search_path="${system.prefix}"`,
  })
  await client.connect()
  try {
    const { rows } = await client.query<Row>(
      'select id, order_id, kind, amount::float8 as amount, state, approval_id from payments',
    )
    return rows
  } finally {
    await client.end()
  }
}

/** A small repeatable random sequence in [0, 1). */
function sequence(from: number): () => number {
  let state = from >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

test('a payment whose gateway or worker was killed is told rightly at any gateway, and by its successor', async (t) => {
  // So long that the requests of killed workers are still wanted when they come again.
  const args = ['--supervise', '--timeout', '30000', '--provider-delay', '800']
  const system = await PaymentSystem.start(args)
  try {
    for (const victim of ['gateways', 'workers'] as const) {
      const [first, second] = system.state().gateways
      const orders = Array.from({ length: 8 }, (_, n) => ({
        orderId: `${victim}-${n}`,
        amount: 1_000 + n,
        method: methods[n % 3]!,
      }))
      const asked = orders.map((order) => system.pay(first!.url, order).catch(() => 'broken off'))
      const isAtWork = async ({ orderId }: { orderId: string }): Promise<boolean> =>
        (await ask(`${system.state().provider.url}/charges/${orderId}`)).status === 200
      await waitFor(async () => (await Promise.all(orders.map(isAtWork))).every(Boolean), {
        what: 'the provider to be at work on all payments',
      })
      const killedAt = Date.now()
      for (const { pid } of system.state()[victim].slice(0, victim === 'gateways' ? 1 : 2))
        process.kill(pid, 'SIGKILL')
      await waitFor(
        async () => {
          const views = await Promise.all(orders.map((order) => system.payment(second!.url, order.orderId)))
          return views.every(({ body }) => body['status'] === 'approved')
        },
        { what: `every payment to be told as approved after the ${victim} were killed`, timeout: 60_000 },
      )
      t.diagnostic(`${victim} killed: all told as they are after ${Date.now() - killedAt} ms`)
      await Promise.all(asked)
      await waitFor(() => system.state().gateways.length === 2 && system.state().workers.length === 2, {
        what: 'everything to be restarted',
      })
      const views = await Promise.all(orders.map((order) => system.payment(first!.url, order.orderId)))
      for (const { body } of views) assert.equal(body['status'], 'approved')
    }
    const ledger = await system.ledger()
    assert.equal(new Set(ledger.map(({ orderId }) => orderId)).size, 16)
    assert.equal(ledger.length, 16, 'each was charged once')
  } finally {
    await system.close()
  }
})
