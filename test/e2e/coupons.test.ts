/** The coupon mail system: a gift's mail is sent once, whoever is killed, and where that ends. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { CouponSystem, type Service } from '@milena/system-coupon-mail'
import { Client } from 'pg'
import { openTestCluster, uniqueName } from '../support/cluster.ts'
import { ask, type Answer } from '../support/payment-system.ts'
import { runPage } from '../support/run-page.ts'
import { waitFor } from '../support/wait-for.ts'

// The system's processes get what this one was started with; they are no test files.
process.execArgv = ['--conditions=x-source']

const window = 600_000
const prefix = `${uniqueName('coupons')}.`
const system = new CouponSystem({
  prefix,
  port: 0,
  mailbox: { duplicateWindow: window, answerDelay: 0 },
  apiForgets: false,
  log: () => {},
})
before(() =>
  system.start({
    brokers: process.env['KAFKA_BROKERS'] || undefined,
    databaseUrl: process.env['DATABASE_URL'] || undefined,
  }),
)
after(() => system.close())
beforeEach(() => behave({}))

async function behave(behaviour: { answerDelay?: number; duplicateWindow?: number }): Promise<void> {
  const body = { answerDelay: 0, duplicateWindow: window, ...behaviour }
  assert.equal((await ask(`${system.mailboxUrl}/behaviour`, 'PUT', body)).status, 200)
}

let given = 0
/** Somebody whom nobody else gives anything. */
function somebody(name = 'friend'): string {
  return `${name}-${++given}@example.test`
}

function give(recipient: string, more: object = {}): Promise<Answer> {
  return ask(`${system.urlOf('coupon')}/coupons/cake/gift`, 'POST', { recipient, ...more })
}

async function giftOf(answer: Answer): Promise<Readonly<Record<string, unknown>>> {
  return (await ask(`${system.urlOf('coupon')}${answer.headers.get('location')}`)).body
}

/** The gift, once it has this state. */
function becomes(answer: Answer, state: string): Promise<Readonly<Record<string, unknown>>> {
  return waitFor(
    async () => {
      const gift = await giftOf(answer)
      return gift['state'] === state && gift
    },
    { what: `the gift to be ${state}` },
  )
}

async function mailsTo(recipient: string): Promise<readonly { messageId: string; subject: string }[]> {
  const { body } = await ask(`${system.mailboxUrl}/mails?recipient=${encodeURIComponent(recipient)}`)
  return body as never
}

async function apiStats(): Promise<Readonly<Record<string, number>>> {
  return (await ask(`${system.urlOf('mail-api')}/stats`)).body as never
}

async function mailboxStats(): Promise<Readonly<Record<string, number>>> {
  return (await ask(`${system.mailboxUrl}/stats`)).body as never
}

async function restart(service: Service): Promise<void> {
  system.kill(service)
  await waitFor(() => system.isUp(service), { what: `${service} to be back` })
}

/**
 * Runs this while nobody can write a result into a table: it is given a wait until somebody wants to. Whoever still wants to
 * at the end does not.
 */
async function withoutResults(
  database: 'mail-worker' | 'mail-api',
  table: string,
  run: (wanted: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const client = new Client({ connectionString: system.databases[database] })
  await client.connect()
  const waiting = `datname = current_database() and wait_event_type = 'Lock'`
  try {
    await client.query('begin')
    // Rows can be locked to be written, and not written.
    await client.query(`lock table ${table} in share row exclusive mode`)
    const isWanted = async (): Promise<boolean> => {
      await client.query('select pg_stat_clear_snapshot()')
      return (await client.query(`select from pg_stat_activity where ${waiting}`)).rowCount! > 0
    }
    await run(async () => void (await waitFor(isWanted, { what: 'somebody to write a result' })))
    await client.query(`select pg_terminate_backend(pid) from pg_stat_activity where ${waiting}`)
    await waitFor(async () => !(await isWanted()), { what: 'those who wanted to write to be gone' })
  } finally {
    await client.end()
  }
}

test('a gift is answered at once, and goes on by itself from stored to sent, for all who look', async () => {
  const recipient = somebody()
  await system.takeDown('mail-worker')
  const answer = await give(recipient, { giftId: 'watched', message: 'Enjoy it!' })
  assert.equal(answer.status, 202)
  assert.equal(answer.headers.get('location'), '/gifts/watched')
  const { body: events } = await fetch(`${system.urlOf('coupon')}/gifts/watched/events`)
  let told = ''
  const watched = (async () => {
    for await (const text of events!.pipeThrough(new TextDecoderStream())) told += text
  })()
  const seen = (): string[] =>
    [...told.matchAll(/^data: (.*)$/gm)].map(([, gift]) => (JSON.parse(gift!) as { state: string }).state)
  await waitFor(() => seen().at(-1) === 'requested', { what: 'its watcher to be told that it is requested' })
  assert.deepEqual(await mailsTo(recipient), [])
  await system.bringUp('mail-worker')
  await becomes(answer, 'sent')
  await watched
  assert.deepEqual(seen().slice(-2), ['requested', 'sent'])
  const [mail, ...others] = await mailsTo(recipient)
  assert.deepEqual(others, [])
  assert.deepEqual(mail!.messageId, '<watched@coupon-mail.test>')
  const { body } = await ask(`${system.urlOf('coupon')}/gifts?state=sent&limit=1`)
  assert.equal((body as unknown as { gifts: unknown[] }).gifts.length, 1)
})

test('an address that the server refuses: the result is 1, the gift has failed, and there is no mail', async () => {
  const recipient = somebody('no-such')
  const gift = await becomes(await give(recipient), 'failed')
  assert.ok(gift['endedAt'] !== undefined)
  assert.deepEqual(await mailsTo(recipient), [])
})

test("a reply has those of the request's headers that are to be copied, and the worker's own; a partner's its own topic", async () => {
  const own = await becomes(await give(somebody(), { campaign: 'spring' }), 'sent')
  // The request has a header `coupon`, too.
  assert.deepEqual(own['reply'], {
    topic: `${prefix}SEND_MAIL_REPLY`,
    headers: { campaign: 'spring', 'mail-worker': 'worker-1' },
  })
  const partners = await becomes(await give(somebody(), { partner: true }), 'sent')
  assert.deepEqual(partners['reply'], {
    topic: `${prefix}SEND_MAIL_REPLY_PARTNER`,
    headers: { 'mail-worker': 'worker-1' },
  })
})

test('a preview is waited for, and its result comes on the reply topic that it names', async () => {
  for (const [partner, topic] of [
    [false, 'SEND_MAIL_REPLY'],
    [true, 'SEND_MAIL_REPLY_PARTNER'],
  ] as const) {
    const recipient = somebody()
    const body = { recipient, partner }
    const preview = await ask(`${system.urlOf('coupon')}/coupons/book/preview`, 'POST', body)
    assert.equal(preview.status, 200, JSON.stringify(preview.body))
    const reply = { topic: prefix + topic, headers: { 'mail-worker': 'worker-1' } }
    assert.deepEqual(preview.body, { result: 0, reply })
    assert.equal((await mailsTo(recipient)).length, 1)
  }
})

test('a gift that is given again under its name is the first one; with other content it is refused', async () => {
  const recipient = somebody()
  const first = await give(recipient, { giftId: 'twice' })
  await becomes(first, 'sent')
  const again = await give(recipient, { giftId: 'twice' })
  assert.deepEqual([again.status, again.body['state']], [202, 'sent'])
  assert.equal((await give(somebody(), { giftId: 'twice' })).status, 409)
  assert.equal((await mailsTo(recipient)).length, 1)
})

test('what cannot be is a problem, with all that is wrong', async () => {
  const bad = await give('nobody', { giftId: 'a b', partner: 'x' })
  assert.equal(bad.status, 400)
  for (const name of ['recipient', 'giftId', 'partner'])
    assert.match(String(bad.body['detail']), new RegExp(name))
  for (const message of ['a NUL \0', 'half a pair \u{d83d}'])
    assert.equal((await give(somebody(), { message })).status, 400)
  const unknown = await ask(`${system.urlOf('coupon')}/coupons/tea/gift`, 'POST', { recipient: somebody() })
  assert.deepEqual([unknown.status, unknown.body['detail']], [404, 'there are book, cake, coffee'])
  assert.equal((await ask(`${system.urlOf('coupon')}/gifts/none`)).status, 404)
})

test('each service describes what it offers, as OpenAPI', async () => {
  for (const [url, paths] of [
    [
      system.urlOf('coupon'),
      ['/coupons/{id}/gift', '/gifts/{id}', '/gifts/{id}/events', '/gifts', '/coupons/{id}/preview'],
    ],
    [system.urlOf('mail-api'), ['/mail/send']],
    [system.mailboxUrl!, ['/mails']],
  ] as const) {
    const { body } = await ask(`${url}/openapi.json`)
    assert.equal(body['openapi'], '3.1.0')
    for (const path of paths) assert.ok(path in (body['paths'] as object), path)
  }
  assert.equal((await ask(`${system.urlOf('coupon')}/stats`)).status, 200)
})

test("the worker dies between the Mail API's answer and its own reply: the mail is not sent again", async () => {
  const recipient = somebody()
  const before = await apiStats()
  const { duplicates } = await mailboxStats()
  await behave({ answerDelay: 1_000 })
  const answer = await give(recipient)
  await waitFor(async () => (await mailsTo(recipient)).length > 0, { what: 'the mail' })
  await withoutResults('mail-worker', 'milena_idempotency', async (wanted) => {
    await waitFor(async () => (await apiStats())['sent'] === before['sent']! + 1, { what: 'the answer' })
    // The worker has it, and wants to store it.
    await wanted()
    await system.takeDown('mail-worker')
  })
  assert.equal((await giftOf(answer))['state'], 'requested')
  await system.bringUp('mail-worker')
  await becomes(answer, 'sent')
  assert.equal((await mailsTo(recipient)).length, 1)
  const { askedAgain, sentAgain } = await apiStats()
  // It was asked, and knew.
  assert.equal(askedAgain, before['askedAgain']! + 1)
  assert.equal(sentAgain, before['sentAgain'])
  assert.equal((await mailboxStats())['duplicates'], duplicates, 'the server has seen it once')
})

/** Has the Mail API die after the server's 250, before it has written that down. */
async function killAfterAcceptance(recipient: string): Promise<Answer> {
  await behave({ answerDelay: 1_000 })
  const answer = await give(recipient)
  await waitFor(async () => (await mailsTo(recipient)).length > 0, { what: 'the mail' })
  await withoutResults('mail-api', 'mails', async (wanted) => {
    await wanted()
    await system.takeDown('mail-api')
  })
  return answer
}

test('the Mail API dies after the 250: it sends again, and a server that knows the Message-ID drops that', async () => {
  const recipient = somebody()
  const { duplicates } = await mailboxStats()
  const answer = await killAfterAcceptance(recipient)
  await behave({})
  await system.bringUp('mail-api')
  await becomes(answer, 'sent')
  assert.equal((await mailsTo(recipient)).length, 1)
  assert.equal((await mailboxStats())['duplicates'], duplicates! + 1)
})

test('with a server that keeps every mail that is where it ends: two mails of one Message-ID', async () => {
  const recipient = somebody()
  const answer = await killAfterAcceptance(recipient)
  await behave({ duplicateWindow: 0 })
  await system.bringUp('mail-api')
  await becomes(answer, 'sent')
  const mails = await mailsTo(recipient)
  assert.equal(mails.length, 2)
  assert.equal(mails[0]!.messageId, mails[1]!.messageId)
})

test('the coupon service dies when a gift is stored, and is away when its reply comes: nothing of it is lost', async () => {
  const recipient = somebody()
  await system.takeDown('mail-worker')
  const answer = await give(recipient)
  await restart('coupon')
  // It was sent by this process, or by the one before.
  await becomes(answer, 'requested')
  await system.takeDown('coupon')
  await system.bringUp('mail-worker')
  await waitFor(async () => (await mailsTo(recipient)).length > 0, { what: 'the mail' })
  await system.bringUp('coupon')
  await becomes(answer, 'sent')
  assert.equal((await mailsTo(recipient)).length, 1)
})

test('the Mail API is away: the worker asks again until it is back', async () => {
  const recipient = somebody()
  await system.takeDown('mail-api')
  const answer = await give(recipient)
  await becomes(answer, 'requested')
  await system.bringUp('mail-api')
  await becomes(answer, 'sent')
  assert.equal((await mailsTo(recipient)).length, 1)
})

test('the example of the README, of which headers a reply has, prints what it says', async (t) => {
  const cluster = await openTestCluster()
  t.after(() => cluster.close())
  const page = { page: 'systems/coupon-mail/README.md', block: 0, topics: ['SEND_MAIL', 'SEND_MAIL_REPLY'] }
  await runPage(cluster, page)
})
