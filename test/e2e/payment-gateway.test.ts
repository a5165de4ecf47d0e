/** What a payment's caller can rely on, through two gateways and two workers. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import { PaymentSystem, ask, run, type Answer } from '../support/payment-system.ts'
import { waitFor } from '../support/wait-for.ts'

/** Milliseconds: so long that a busy machine answers in a part of it. */
const timeout = 8_000
const quick = { delayMs: 5, jitterMs: 0, failRate: 0, declineRate: 0, silentRate: 0 }

let system: PaymentSystem
let one: string
let two: string
let orders = 0

before(async () => {
  system = await PaymentSystem.start(['--timeout', String(timeout), '--max-pending', '40'])
  one = system.gateway(0)
  two = system.gateway(1)
})
after(() => system?.close())
beforeEach(() => system.behave(quick))

function newOrder(): { orderId: string; amount: number; method: string } {
  return { orderId: `o-${++orders}`, amount: 9900, method: 'card' }
}

function statusOf(orderId: string): Promise<unknown> {
  return system.payment(one, orderId).then(({ body }) => body['status'])
}

async function historyOf(orderId: string): Promise<Record<string, unknown>[]> {
  return (await system.payment(one, orderId)).body['history'] as Record<string, unknown>[]
}

async function waitUntil(orderId: string, status: string): Promise<void> {
  await waitFor(async () => (await statusOf(orderId)) === status, { what: `${orderId} to be ${status}` })
}

test('an approved payment is answered with its approval, which stands in the ledger', async () => {
  const order = newOrder()
  const { status, body } = await system.pay(one, order)
  assert.equal(status, 200)
  const [entry, ...others] = await system.ledger(order.orderId)
  assert.deepEqual(body, { orderId: order.orderId, status: 'approved', approvalId: entry?.approvalId })
  assert.equal(entry?.amount, order.amount)
  assert.deepEqual(others, [])
  assert.deepEqual(
    (await historyOf(order.orderId)).map(({ event }) => event),
    ['accepted', 'reply'],
  )
})

test('the same order again gives the first outcome, at any gateway', async () => {
  const order = newOrder()
  const first = await system.pay(one, order)
  const again = await system.pay(two, order)
  assert.deepEqual([again.status, again.body], [200, first.body])
  assert.equal((await system.ledger(order.orderId))[0]?.attempts, 1)
})

test('the same order again while the first is running waits for its outcome', async () => {
  await system.behave({ ...quick, delayMs: 400 })
  const order = newOrder()
  const answers = await Promise.all([one, two, one, two].map((gateway) => system.pay(gateway, order)))
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 200],
  )
  assert.equal(new Set(answers.map(({ body }) => body['approvalId'])).size, 1)
  const [entry, ...others] = await system.ledger(order.orderId)
  assert.deepEqual([entry?.attempts, others.length], [1, 0])
})

test('the same order with other content is refused', async () => {
  const order = newOrder()
  await system.pay(one, order)
  for (const other of [
    { ...order, amount: 1 },
    { ...order, method: 'bank' },
  ]) {
    const { status, headers } = await system.pay(two, other)
    assert.equal(status, 409)
    assert.match(String(headers.get('content-type')), /^application\/problem\+json/)
  }
})

test('an invalid payment is refused with every problem listed', async () => {
  const { status, headers, body } = await system.pay(one, { orderId: '', amount: -1.5, method: 'cash' })
  assert.equal(status, 400)
  assert.match(String(headers.get('content-type')), /^application\/problem\+json/)
  const paths = (body['errors'] as { path: string }[]).map(({ path }) => path)
  assert.deepEqual(paths.toSorted(), ['amount', 'amount', 'method', 'orderId'])
})

test('a declined payment is 402, and stays declined', async () => {
  await system.behave({ ...quick, declineRate: 1 })
  const order = newOrder()
  const { status, body } = await system.pay(one, order)
  assert.deepEqual([status, body['paymentStatus'], body['code']], [402, 'declined', 'PAYMENT_DECLINED'])
  await system.behave(quick)
  assert.equal((await system.pay(two, order)).status, 402)
  assert.deepEqual(await system.ledger(order.orderId), [])
})

test("a provider's failure is 502, and the order is not charged afterwards", async () => {
  await system.behave({ ...quick, failRate: 1 })
  const order = newOrder()
  assert.equal((await system.pay(one, order)).status, 502)
  assert.equal(await statusOf(order.orderId), 'failed')
  await system.behave(quick)
  assert.equal((await system.pay(two, order)).status, 502)
  assert.deepEqual(await system.ledger(order.orderId), [])
})

test('without a reply in time the payment is unknown, and the late reply resolves it', async () => {
  await system.behave({ ...quick, delayMs: timeout + 500 })
  const order = newOrder()
  const { status, body } = await system.pay(one, order)
  assert.deepEqual([status, body['paymentStatus'], body['code']], [504, 'unknown', 'PAYMENT_UNKNOWN'])
  await waitUntil(order.orderId, 'approved')
  const late = await waitFor(
    async () => (await historyOf(order.orderId)).find((e) => e['event'] === 'late-reply'),
    {
      what: 'the late reply in the history',
    },
  )
  assert.equal(late['status'], 'approved')
  assert.equal((await system.pay(two, order)).status, 200)
  assert.equal((await system.ledger(order.orderId)).length, 1)
})

test('a payment that the provider never answers is resolved by asking, never by charging again', async () => {
  await system.behave({ ...quick, silentRate: 1 })
  const order = newOrder()
  assert.equal((await system.pay(one, order)).status, 504)
  await waitUntil(order.orderId, 'approved')
  const events = (await historyOf(order.orderId)).map(({ event }) => event)
  // Between them, on a busy machine, another gateway may take its own for lost; behind them the worker's error may come late.
  assert.deepEqual([events[0], events.includes('asked-provider')], ['accepted', true], events.join())
  assert.ok(!events.includes('reply') && !events.includes('reconciled'), events.join())
  const [entry, ...others] = await system.ledger(order.orderId)
  assert.deepEqual([entry?.attempts, others.length], [1, 0])
  const letters = (await ask(`${two}/dead-letters`)).body as unknown as Record<string, unknown>[]
  const letter = letters.find(({ orderId }) => orderId === order.orderId)
  assert.deepEqual([letter?.['amount'], letter?.['resolution']], [order.amount, 'approved'])
  // The worker no longer waits for that answer: what comes next for this order is not held up by it.
  await system.behave(quick)
  const refund = { amount: 1, refundId: 'r-1' }
  assert.equal((await system.refund(one, order.orderId, refund)).status, 200)
})

test('a payment reported as failed is never charged, not even by a worker that wakes up late', async () => {
  const workers = system.state().workers.map(({ pid }) => pid)
  const order = newOrder()
  for (const pid of workers) process.kill(pid, 'SIGSTOP')
  try {
    const sentAt = Date.now()
    const paying = system.pay(one, order)
    // Until its time is over a worker may begin with it, and nobody says that it has failed.
    for (;;) {
      const { status, body } = await system.payment(two, order.orderId)
      if (Date.now() >= sentAt + timeout) break
      if (status === 200) assert.match(String(body['status']), /^(pending|unknown)$/)
      await sleep(100)
    }
    assert.equal((await paying).status, 504)
    await waitUntil(order.orderId, 'failed')
  } finally {
    for (const pid of workers) process.kill(pid, 'SIGCONT')
  }
  // Its own request must have been passed over by now: a later one of the same partition has been handled.
  await waitFor(async () => (await historyOf(order.orderId)).some(({ event }) => event === 'late-reply'), {
    what: "the worker's answer to the old request",
  })
  assert.deepEqual(await system.ledger(order.orderId), [])
  assert.equal((await system.pay(two, order)).status, 502)
})

test('an overloaded gateway refuses at once, and what it refused can be sent again', async () => {
  await system.behave({ ...quick, delayMs: timeout / 4 })
  const sent = await waitFor(
    async () => {
      const all = Array.from({ length: 60 }, newOrder).map(async (order) => ({
        order,
        answer: await system.pay(one, order),
      }))
      const sent = await Promise.all(all)
      // A busy machine may take them one by one, or answer none in time: then they are sent again, as other orders.
      return [200, 503].every((wanted) => sent.some(({ answer }) => answer.status === wanted)) && sent
    },
    { what: 'some to be answered, and others to be refused' },
  )
  const refused = sent.filter(({ answer }) => answer.status === 503)
  assert.ok(refused.every(({ answer }) => Number(answer.headers.get('retry-after')) >= 1))
  await system.behave(quick)
  const again = await system.pay(one, refused[0]!.order)
  assert.equal(again.status, 200)
})

test('refunds add up to at most what was paid, however many are asked for at once', async () => {
  const order = newOrder()
  assert.equal((await system.refund(one, order.orderId, { amount: 1, refundId: 'r' })).status, 404)
  await system.pay(one, order)
  const part = { amount: 4000, refundId: 'r-1' }
  const first = await system.refund(one, order.orderId, part)
  assert.deepEqual([first.status, first.body['refundId'], first.body['status']], [200, 'r-1', 'approved'])
  assert.deepEqual((await system.refund(two, order.orderId, part)).body, first.body)
  assert.equal((await system.refund(two, order.orderId, { ...part, amount: 1 })).status, 409)
  // 5 900 are left: of these five one fits twice, at most.
  const rest = await Promise.all(
    [one, two, one, two, one].map((gateway, index) =>
      system.refund(gateway, order.orderId, { amount: 2500, refundId: `rest-${index}` }),
    ),
  )
  assert.deepEqual(
    rest.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 200, 409, 409, 409],
  )
  assert.equal((await system.refund(one, order.orderId, { refundId: 'r-9' })).body['amount'], 900)
  const refunds = (await system.ledger(order.orderId)).filter(({ kind }) => kind === 'refund')
  assert.equal(
    refunds.reduce((sum, { amount }) => sum + amount, 0),
    order.amount,
  )
})

test('a refund without a name of its own is refused, so that one that is sent again is never two', async () => {
  const order = newOrder()
  await system.pay(one, order)
  const nameless = await system.refund(one, order.orderId, { amount: 1 })
  assert.deepEqual([nameless.status, nameless.body['code']], [400, 'REFUND_NAME_MISSING'])
  const name = { 'content-type': 'application/json', 'idempotency-key': 'k-1' }
  const send = (gateway: string) =>
    fetch(`${gateway}/payments/${order.orderId}/refund`, {
      method: 'POST',
      headers: name,
      body: '{"amount":1}',
    })
  const [first, again] = await Promise.all([send(one), send(two)])
  assert.deepEqual([first.status, again.status], [200, 200])
  assert.deepEqual(await first.json(), await again.json())
  assert.equal((await system.ledger(order.orderId)).length, 2, 'the charge and one refund')
})

test('the longest ids that the gateway takes are taken by worker and provider too', async () => {
  const order = { ...newOrder(), orderId: 'o'.repeat(100) }
  assert.equal((await system.pay(one, order)).status, 200)
  const refund = { amount: 1, refundId: 'r'.repeat(100) }
  assert.equal((await system.refund(one, order.orderId, refund)).status, 200)
})

test('a payment that is not approved cannot be refunded', async () => {
  await system.behave({ ...quick, declineRate: 1 })
  const order = newOrder()
  await system.pay(one, order)
  assert.equal((await system.refund(one, order.orderId, { amount: 1, refundId: 'r' })).status, 409)
})

test('a gateway describes itself, and says that it is alive and ready', async () => {
  const { body } = await ask(`${one}/openapi.json`)
  assert.match(String(body['openapi']), /^3\.1\./)
  type Described = { operationId?: string; responses?: Record<string, { content?: object }> }
  const paths = body['paths'] as Record<string, Record<string, Described>>
  const refund = paths['/payments/{orderId}/refund']!['post']!
  assert.deepEqual(Object.keys(refund.responses!), [
    '200',
    '400',
    '402',
    '404',
    '409',
    '413',
    '415',
    '502',
    '503',
    '504',
    'default',
  ])
  const operations = Object.values(paths).flatMap((path) => Object.values(path))
  const ids = operations.map(({ operationId }) => operationId)
  assert.deepEqual([new Set(ids).size, ids.includes(undefined)], [ids.length, false])
  for (const [status, response] of operations.flatMap(({ responses }) => Object.entries(responses ?? {})))
    if (!(Number(status) < 400))
      assert.deepEqual(Object.keys(response.content!), ['application/problem+json'], status)
  assert.deepEqual(body['servers'], [{ url: '/' }])
  assert.equal((await ask(`${one}/health`)).status, 200)
  assert.equal((await ask(`${one}/ready`)).status, 200)
  assert.equal((await system.payment(one, 'nobodys')).status, 404)
})

test('a gateway has a page with links that lead somewhere and a form to pay', async () => {
  const answer = await fetch(one)
  assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'text/html; charset=utf-8'])
  const page = await answer.text()
  const links = [...page.matchAll(/href="([^"]+)"/g)].map(([, path]) => path!)
  assert.ok(links.length >= 5)
  for (const path of links) assert.equal((await fetch(one + path)).status, 200, path)
  for (const name of ['orderId', 'amount', 'method']) assert.match(page, new RegExp(`name="${name}"`))
  const script = /<script>([\s\S]*)<\/script>/.exec(page)![1]!
  const form = {
    orderId: { value: '' },
    amount: { value: '500' },
    method: { value: 'card' },
    onsubmit: async (_event: object) => {},
  }
  const shown = { textContent: '' }
  const document = { querySelector: (what: string) => (what === 'form' ? form : shown) }
  // As a browser does it, with paths of the page's own gateway.
  const fetchHere = (path: string, init: RequestInit) => fetch(one + path, init)
  runInNewContext(script, { document, fetch: fetchHere, Date, Number, JSON, String })
  await form.onsubmit({ preventDefault: () => {} })
  assert.match(shown.textContent, /^200 \{[^]*"status": "approved"/)
})

test('a gateway that is told to end refuses what is new, and still answers what it has in hand', async () => {
  await system.behave({ ...quick, delayMs: timeout / 2 })
  const { pid, url } = system.state().gateways[1]!
  const inHand: Promise<Answer>[] = Array.from({ length: 5 }, () => system.pay(url, newOrder()))
  await waitFor(async () => ((await ask(`${url}/stats`)).body['inHand'] as number) === 5, {
    what: 'five payments in hand',
  })
  process.kill(pid, 'SIGTERM')
  const late = await waitFor(
    async () => {
      const answer = await system.pay(url, { ...newOrder(), amount: 0.5 })
      // Invalid until it is closing: so nothing more gets into its hands.
      return answer.status !== 400 && answer
    },
    { what: 'the gateway to refuse' },
  )
  assert.equal(late.status, 503)
  assert.ok(Number(late.headers.get('retry-after')) >= 1)
  const answers = await Promise.all(inHand)
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 200, 200],
  )
})

test('a gateway and a worker can be added while the system runs', async () => {
  const more = run(['--join', system.stateFile, '--gateways', '1', '--workers', '1'])
  try {
    let output = ''
    more.process.stdout!.on('data', (chunk: Buffer) => (output += chunk.toString()))
    const url = await waitFor(() => /^ready (http\S+)/m.exec(output)?.[1], { what: 'the added gateway' })
    // The workers' group is still sharing the partitions anew: a payment may have to wait for longer than its time.
    const paid = await waitFor(
      async () => {
        const order = newOrder()
        return (await system.pay(url, order)).status === 200 && order
      },
      { what: 'a payment through the added gateway' },
    )
    assert.equal(await statusOf(paid.orderId), 'approved')
  } finally {
    more.process.kill('SIGINT')
  }
  const { status } = await more.ended
  assert.equal(status, 0)
})
