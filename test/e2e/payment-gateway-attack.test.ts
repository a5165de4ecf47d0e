/** What somebody can do to other people's payments: with rights on the request topic, and over HTTP. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { Client } from 'pg'
import { openKafka, type IncomingRecord, type Transport } from '@milena/request-reply'
import { PaymentSystem, ask } from '../support/payment-system.ts'
import { waitFor } from '../support/wait-for.ts'

const quick = { delayMs: 5, jitterMs: 0, failRate: 0, declineRate: 0, silentRate: 0 }

let system: PaymentSystem
let transport: Transport
let one: string
let two: string
let orders = 0
const requests: IncomingRecord[] = []

before(async () => {
  system = await PaymentSystem.start(['--timeout', '8000', '--max-pending', '40'])
  one = system.gateway(0)
  two = system.gateway(1)
  transport = await openKafka({ brokers: system.state().brokers.split(',') })
  const topic = `${system.prefix}payment_request`
  await transport.tail({
    topic,
    partitions: 'all',
    from: 'latest',
    onRecords: (records) => void requests.push(...records),
  })
})
after(async () => {
  await transport?.close()
  await system?.close()
})
beforeEach(() => system.behave(quick))

function newOrder(amount = 9900) {
  return { orderId: `o-${++orders}`, amount, method: 'card' }
}

/** Sends this with the headers of the request for `orderId`, as soon as that stands in the topic. */
async function sendUnderHeadersOf(orderId: string, body: object, key: string): Promise<void> {
  const seen = await waitFor(() => requests.find(({ value }) => value?.toString().includes(`"${orderId}"`)), {
    what: `the request for ${orderId}`,
  })
  const partition = (seen.partition + 1) % 6
  const headers = seen.headers.filter(([name]) => !String(name).startsWith('milena-idempotency'))
  await transport.send({
    ...seen,
    partition,
    key: Buffer.from(key),
    value: Buffer.from(JSON.stringify(body)),
    headers,
  })
}

/** Until the provider knows the order's charge, and so many of its refunds. */
async function untilAtProvider(orderId: string, refunds: number): Promise<void> {
  const known = async () => {
    const { status, body } = await ask(`${system.state().provider.url}/charges/${orderId}`)
    return status === 200 && (body['refunds'] as unknown[]).length === refunds
  }
  await waitFor(known, { what: `${orderId} at the provider` })
}

function mismatchedAt(gateway: string): Promise<number> {
  return ask(`${gateway}/stats`).then(({ body }) => body['mismatched'] as number)
}

test('a reply about an own, approved order under the headers of another request approves nothing', async () => {
  const own = newOrder(100_000)
  assert.equal((await system.pay(two, own)).status, 200)
  await system.behave({ ...quick, delayMs: 6_000, declineRate: 1 })
  const victim = newOrder(100_000)
  const asked = system.pay(one, victim)
  await sendUnderHeadersOf(victim.orderId, { ...own, expiresAt: Date.now() + 20_000 }, own.orderId)
  const { status, body } = await asked
  assert.deepEqual([status, body['code'], body['paymentStatus']], [502, 'REPLY_MISMATCHED', 'unknown'])
  assert.match(String(body['detail']), new RegExp(`another payment: the charge of ${own.orderId}, 100000$`))
  assert.equal(await mismatchedAt(one), 1)
  const settled = await waitFor(
    async () => {
      const { body } = await system.payment(two, victim.orderId)
      return body['status'] !== 'unknown' && body
    },
    { what: 'the payment to be settled' },
  )
  assert.equal(settled['status'], 'declined', 'as the provider has it')
})

test('an order that somebody had charged with another amount is told as mismatched, never as approved', async () => {
  const seed = newOrder()
  await system.pay(one, seed)
  const victim = newOrder(100_000)
  const cheap = { ...victim, amount: 1, expiresAt: Date.now() + 20_000 }
  const orderIsCharged = async () => (await system.ledger(victim.orderId)).length === 1
  await sendUnderHeadersOf(seed.orderId, cheap, victim.orderId)
  await waitFor(orderIsCharged, { what: 'the forged request to be carried out' })
  assert.equal((await system.pay(one, victim)).status, 502)
  const settled = await waitFor(
    async () => {
      const { body } = await system.payment(two, victim.orderId)
      return body['status'] !== 'unknown' && body
    },
    { what: 'the payment to be settled' },
  )
  assert.deepEqual(
    [settled['status'], settled['reason']],
    ['mismatched', 'the provider has approved 1, not 100000'],
  )
  const again = await system.pay(two, victim)
  assert.deepEqual([again.status, again.body['code']], [502, 'PAYMENT_MISMATCHED'])
  const refund = await system.refund(two, victim.orderId, { amount: 1, refundId: 'r-1' })
  assert.equal(refund.status, 409)
})

test('many repeats of one pending order leave the gateway free for others', async () => {
  await system.behave({ ...quick, delayMs: 4_000 })
  const order = newOrder()
  const repeats = Array.from({ length: 60 }, () => system.pay(one, order))
  await untilAtProvider(order.orderId, 0)
  await system.behave(quick)
  const honest = await Promise.all(Array.from({ length: 10 }, () => system.pay(one, newOrder())))
  assert.deepEqual(new Set(honest.map(({ status }) => status)), new Set([200]))
  const statuses = new Set((await Promise.all(repeats)).map(({ status }) => status))
  assert.deepEqual(statuses, new Set([200, 503]))
  assert.equal((await system.ledger(order.orderId)).length, 1)
})

test('a refund that the provider is silent about holds up no other refund of its order', async () => {
  const order = newOrder()
  await system.pay(one, order)
  await system.behave({ ...quick, silentRate: 1 })
  const silent = system.refund(one, order.orderId, { amount: 1, refundId: 'silent' })
  await untilAtProvider(order.orderId, 1)
  await system.behave(quick)
  assert.equal((await system.refund(two, order.orderId, { amount: 2, refundId: 'other' })).status, 200)
  const { status, body } = await silent
  assert.deepEqual([status, body['code']], [504, 'PAYMENT_UNKNOWN'])
  const refunded = async () =>
    ((await system.payment(one, order.orderId)).body['refunds'] as { status: string }[]).every(
      (refund) => refund.status === 'approved',
    )
  await waitFor(refunded, { what: 'both refunds to be approved' })
  assert.equal((await system.ledger(order.orderId)).length, 3, 'the charge, and each refund once')
})

test('a charge that the provider is silent about is charged once, whoever asks for it meanwhile', async () => {
  const order = newOrder()
  await system.behave({ ...quick, silentRate: 1 })
  const first = system.pay(one, order)
  await untilAtProvider(order.orderId, 0)
  await system.behave(quick)
  const others = [system.pay(one, order), system.pay(two, order)]
  assert.equal((await system.pay(two, { ...order, amount: 1 })).body['code'], 'ORDER_DIFFERS')
  assert.equal((await system.refund(two, order.orderId, { amount: 1, refundId: 'r' })).status, 409)
  for (const { status, body } of await Promise.all([first, ...others])) {
    assert.ok(status === 504 || status === 200, `${status}`)
    if (status === 504) assert.equal(body['code'], 'PAYMENT_UNKNOWN')
  }
  await waitFor(async () => (await system.pay(two, order)).status === 200, { what: 'the charge to be told' })
  assert.equal((await system.ledger(order.orderId)).length, 1)
})

test('many refunds of one order at once leave the gateway free for others, and are shown in pages', async () => {
  const order = newOrder()
  await system.pay(one, order)
  const wanted = Array.from({ length: 55 }, (_, number) => ({ amount: 1, refundId: `r-${number}` }))
  const storm = wanted.map((refund) => system.refund(one, order.orderId, refund))
  const honest = await Promise.all(Array.from({ length: 10 }, () => system.pay(one, newOrder())))
  assert.deepEqual(new Set(honest.map(({ status }) => status)), new Set([200]))
  const told = new Set((await Promise.all(storm)).map(({ status }) => status))
  assert.deepEqual(told, new Set([200, 503]))
  for (const refund of wanted) assert.equal((await system.refund(two, order.orderId, refund)).status, 200)

  const first = (await system.payment(one, order.orderId)).body
  const next = (await ask(`${one}${String(first['moreRefunds'])}`)).body
  const ids = [first, next].map(({ refunds }) =>
    (refunds as { refundId: string }[]).map(({ refundId }) => refundId),
  )
  assert.deepEqual([ids[0]!.length, ids[1]!.length, next['moreRefunds']], [50, 5, undefined])
  assert.equal(new Set(ids.flat()).size, 55)
  const none = await ask(`${one}/payments/${order.orderId}?refundsAfter=no-such`)
  assert.deepEqual([none.status, none.body['code']], [400, 'INVALID_REQUEST'])
})

test('an order takes 500 refunds, whatever became of them', async () => {
  const order = newOrder()
  await system.pay(one, order)
  const database = new Client({
    connectionString: system.state().database,
    options: `-c search_path="${system.prefix}"`,
  })
  await database.connect()
  try {
    await database.query(
      `insert into payments (kind, id, order_id, amount, method, state, owner, expires_at, settled_at)
       select 'refund', $1 || '/old-' || n, $1, 1, 'card', 'declined', 'nobody', now(), now()
       from generate_series(1, 499) n`,
      [order.orderId],
    )
  } finally {
    await database.end()
  }
  const refund = (refundId: string) => system.refund(one, order.orderId, { amount: 1, refundId })
  assert.equal((await refund('last')).status, 200)
  const refused = await refund('one-more')
  assert.deepEqual(
    [refused.status, refused.body['title']],
    [409, 'This order has 500 refunds, and takes no more'],
  )
  assert.equal((await refund('last')).status, 200, 'what is there already is told')
})
