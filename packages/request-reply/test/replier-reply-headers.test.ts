/** The headers that an application chooses for its replies: all of them, and those of one operation. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { OptionsError } from '../src/errors.ts'
import type { HandleOptions } from '../src/replier/dispatch.ts'
import type { IncomingRecord } from '../src/transport/transport.ts'
import type { RawHeader } from '../src/wire/headers.ts'
import { setUp } from './replying.ts'

const base = { topic: 'shop_request', request: string(), reply: string() }
const price = defineOperation({ ...base, name: 'price' })
const stock = defineOperation({ ...base, name: 'stock' })

/** Name and text of each header but the library's own, in order. */
function chosen(record: IncomingRecord): (readonly [string, string | null])[] {
  return record.headers
    .map(([name, value]) => [String(name), value && String(value)] as const)
    .filter(([name]) => name !== 'kafka_correlationId' && !name.startsWith('milena-'))
}

const sent = (...names: string[]): RawHeader[] =>
  names.map((name) => [Buffer.from(name), Buffer.from(`sent ${name}`)] as const)
const value = Buffer.from('tea')

test('an operation has headers of its own beside those of all replies, and another operation has none of them', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier({ copyHeaders: ['trace'], replyHeaders: { service: 'shop' } })
  worker.handle(price, (request) => request, {
    copyHeaders: ['tenant', 'absent'],
    replyHeaders: ({ operation, key }) => ({ 'x-operation': `${operation} ${String(key)}`, none: null }),
  })
  worker.handle(stock, (request) => request)
  await worker.start()
  const headers = sent('tenant', 'trace', 'private')
  const priced = await asking.answerTo(value, { operation: 'price', key: 'k', headers })
  assert.deepEqual(chosen(priced.record), [
    ['trace', 'sent trace'],
    ['service', 'shop'],
    ['tenant', 'sent tenant'],
    ['x-operation', 'price k'],
    ['none', null],
  ])
  const stocked = await asking.answerTo(value, { operation: 'stock', headers })
  assert.deepEqual(chosen(stocked.record), [
    ['trace', 'sent trace'],
    ['service', 'shop'],
  ])
})

test('of a name that both have, copied or added, the reply has the one of the operation, once', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier({
    copyHeaders: ['copied here and there', 'copied, then added'],
    replyHeaders: { 'added here and there': 'replier', 'added, then copied': 'replier' },
  })
  worker.handle(price, (request) => request, {
    copyHeaders: ['copied here and there', 'added, then copied'],
    replyHeaders: { 'added here and there': 'operation', 'copied, then added': 'operation' },
  })
  await worker.start()
  const headers = sent('copied here and there', 'copied, then added', 'added, then copied')
  const { record } = await asking.answerTo(value, { operation: 'price', headers })
  assert.deepEqual(chosen(record), [
    ['copied here and there', 'sent copied here and there'],
    ['added, then copied', 'sent added, then copied'],
    ['added here and there', 'operation'],
    ['copied, then added', 'operation'],
  ])
})

test('of one level, what is added comes after what is copied, and of a name that was sent twice the last is copied', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier({ copyHeaders: [] })
  worker.handle(price, (request) => request, { copyHeaders: ['a', 'b'], replyHeaders: { a: 'added' } })
  await worker.start()
  const last = [Buffer.from('b'), Buffer.from('last')] as const
  const { record } = await asking.answerTo(value, { operation: 'price', headers: [...sent('a', 'b'), last] })
  assert.deepEqual(chosen(record), [
    ['a', 'sent a'],
    ['b', 'last'],
    ['a', 'added'],
  ])
})

test('error replies of an operation carry its headers too, whoever has refused the request', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier({ copyHeaders: [], maxRequestBytes: 10 })
  worker.handle(
    price,
    () => {
      throw new Error('no')
    },
    { copyHeaders: ['tenant'], replyHeaders: ({ operation }) => ({ by: operation }) },
  )
  await worker.start()
  const headers = sent('tenant')
  for (const [body, code] of [
    [value, 'MILENA_HANDLER_FAILED'],
    [Buffer.alloc(11), 'MILENA_RECORD_TOO_LARGE'],
    [Buffer.from([0xff]), 'MILENA_CODEC_FAILED'],
  ] as const) {
    const { record, error } = await asking.answerTo(body, { operation: 'price', headers })
    assert.equal(error?.code, code)
    assert.deepEqual(chosen(record), [
      ['tenant', 'sent tenant'],
      ['by', 'price'],
    ])
  }
  const unknown = await asking.answerTo(value, { operation: 'nobody', headers })
  assert.equal(unknown.error?.code, 'MILENA_OPERATION_UNKNOWN')
  assert.deepEqual(chosen(unknown.record), [])
})

test('replyHeaders of an operation that throw, or name a header of ours, cost its request the reply and no other', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier({ replyHeaders: { service: 'shop' } })
  worker.handle(price, (request) => request, {
    copyHeaders: ['tenant'],
    replyHeaders({ key }) {
      if (String(key) === 'throws') throw new Error('secret')
      return String(key) === 'names' ? { 'milena-error-code': 'FORGED' } : { fine: 'yes' }
    },
  })
  await worker.start()
  for (const key of ['throws', 'names']) {
    const asked = { operation: 'price', key, headers: sent('tenant') }
    const { record, error } = await asking.answerTo(value, asked)
    assert.deepEqual([error?.code, error?.effect], ['MILENA_REPLY_INVALID', 'done'])
    assert.doesNotMatch(error!.message, /secret/)
    assert.deepEqual(chosen(record), [
      ['service', 'shop'],
      ['tenant', 'sent tenant'],
    ])
  }
  assert.equal((await asking.answerTo(value, { operation: 'price', key: 'ok' })).text, 'tea')
})

test('what cannot be a reply header is told when the operation is handled, all of it', async (t) => {
  const { replier } = await setUp(t)
  const worker = replier()
  const wrong = { copyHeaders: ['kafka_replyTopic', ''], replyHeaders: { 'milena-error-code': 'x' } }
  assert.throws(
    () => worker.handle(price, (request) => request, wrong),
    (error: OptionsError) => {
      assert.deepEqual(error.problems, [
        "copyHeaders: kafka_replyTopic is one of the library's own",
        'copyHeaders must be names',
        'replyHeaders: the header "milena-error-code" is one of the library\'s own',
      ])
      return true
    },
  )
  for (const options of [
    { copyHeaders: 'tenant' },
    { replyHeaders: 5 },
    { replyHeaders: { a: 5 } },
    { replyHeaders: [] },
  ])
    assert.throws(
      () => worker.handle(price, (request) => request, options as unknown as HandleOptions),
      /copyHeaders must be a list|replyHeaders: (must be an object|header "a" must be a string)/,
    )
})

test('what an operation was given counts, whatever becomes of the lists afterwards', async (t) => {
  const { replier, asking } = await setUp(t)
  const worker = replier()
  const [copyHeaders, replyHeaders] = [['tenant'], { by: 'price' } as Record<string, string>]
  worker.handle(price, (request) => request, { copyHeaders, replyHeaders })
  copyHeaders.push('private')
  replyHeaders['more'] = 'x'
  await worker.start()
  const { record } = await asking.answerTo(value, { operation: 'price', headers: sent('tenant', 'private') })
  assert.deepEqual(chosen(record), [
    ['tenant', 'sent tenant'],
    ['by', 'price'],
  ])
})
