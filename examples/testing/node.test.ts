/** A test with node:test: the broker, and the service on the other side, in the process of the test. To copy. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import {
  createReplier,
  createRequester,
  defineOperation,
  json,
  replyPartition,
  ReplyError,
  type Replier,
  type Requester,
} from '@milena/request-reply'

/** What is tested: a function of the application's that asks another service. */
async function priceOf(requester: Requester, sku: string): Promise<string> {
  const { value } = await requester.request(price, { sku })
  return `${sku} costs ${value.cents / 100}`
}

const price = defineOperation({
  name: 'price',
  topic: 'price_request',
  request: json<{ sku: string }>(),
  reply: json<{ cents: number }>(),
})

let broker: EmbeddedKafka | undefined
let requester: Requester
/** The other service, as far as these tests need it; each test says what it answers. */
let answer: (sku: string) => { cents: number }
let replier: Replier | undefined

before(async () => {
  broker = await startEmbeddedKafka({ topics: ['price_request:3', 'price_reply:3'] })
  const kafka = { brokers: broker.brokers }
  replier = createReplier({ kafka, groupId: 'prices' })
  replier.handle(price, ({ sku }) => answer(sku))
  await replier.start()
  requester = await createRequester({ kafka, replyRouting: replyPartition({ topic: 'price_reply' }) })
})
after(async () => {
  await requester?.close()
  await replier?.close()
  await broker?.close()
})

test('a price is asked for and put into words', async () => {
  answer = () => ({ cents: 1250 })
  assert.equal(await priceOf(requester, 'lamp'), 'lamp costs 12.5')
})

test('what the other service refuses is an error with its code', async () => {
  answer = (sku) => {
    throw new ReplyError('UNKNOWN_SKU', `there is no ${sku}`, { effect: 'none' })
  }
  await assert.rejects(priceOf(requester, 'moon'), { code: 'MILENA_REMOTE_ERROR', remoteCode: 'UNKNOWN_SKU' })
})
