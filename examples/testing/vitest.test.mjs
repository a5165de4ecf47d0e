/** The same as node.test.ts with vitest. To copy. */
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import {
  createReplier,
  createRequester,
  defineOperation,
  json,
  replyPartition,
  ReplyError,
} from '@milena/request-reply'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** What is tested: a function of the application's that asks another service. */
async function priceOf(requester, sku) {
  const { value } = await requester.request(price, { sku })
  return `${sku} costs ${value.cents / 100}`
}

const price = defineOperation({
  name: 'price',
  topic: 'price_request',
  request: json(),
  reply: json(),
})

let broker
let requester
/** The other service, as far as these tests need it; each test says what it answers. */
let answer
let replier

beforeAll(async () => {
  broker = await startEmbeddedKafka({ topics: ['price_request:3', 'price_reply:3'] })
  const kafka = { brokers: broker.brokers }
  replier = createReplier({ kafka, groupId: 'prices' })
  replier.handle(price, ({ sku }) => answer(sku))
  await replier.start()
  requester = await createRequester({ kafka, replyRouting: replyPartition({ topic: 'price_reply' }) })
})
afterAll(async () => {
  await requester?.close()
  await replier?.close()
  await broker?.close()
})

test('a price is asked for and put into words', async () => {
  answer = () => ({ cents: 1250 })
  expect(await priceOf(requester, 'lamp')).toBe('lamp costs 12.5')
})

test('what the other service refuses is an error with its code', async () => {
  answer = (sku) => {
    throw new ReplyError('UNKNOWN_SKU', `there is no ${sku}`, { effect: 'none' })
  }
  await expect(priceOf(requester, 'moon')).rejects.toMatchObject({
    code: 'MILENA_REMOTE_ERROR',
    remoteCode: 'UNKNOWN_SKU',
  })
})
