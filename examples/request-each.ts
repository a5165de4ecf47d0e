/** A request for each of many items, so many at a time: results as they come, and those that failed, to look at. */
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import {
  createReplier,
  createRequester,
  defineOperation,
  replyPartition,
  ReplyError,
} from '@milena/request-reply'
import { z } from 'zod'

// A broker in this process, or yours: KAFKA_BROKERS=host:port,…
await using broker = process.env['KAFKA_BROKERS'] ? undefined : await startEmbeddedKafka()
const kafka = { brokers: broker?.brokers ?? process.env['KAFKA_BROKERS']!.split(',') }

const setPrice = defineOperation({
  name: 'price.set',
  topic: 'request-each-prices',
  request: z.object({ product: z.string(), price: z.number() }),
  reply: z.object({ before: z.number() }),
  key: ({ product }) => product, // changes of one product are made in the order of the source
  timeout: 30_000,
})

const prices = new Map<string, number>()
await using replier = createReplier({ kafka, groupId: 'request-each-worker', createTopics: true })
replier.handle(setPrice, ({ product, price }) => {
  if (price <= 0) throw new ReplyError('NO_PRICE', `${price} is no price`, { effect: 'none' })
  const before = prices.get(product) ?? 0
  prices.set(product, price)
  return { before }
})
await replier.start()
await using requester = await createRequester({
  kafka,
  replyRouting: replyPartition({ topic: 'request-each-replies' }),
  createTopics: true,
})

/** A file, a cursor, an endless queue: it is asked for the next item when there is room for it. */
async function* changes() {
  for (let n = 1; n <= 3_000; n++) yield { product: `product-${n}`, price: n % 1_000 }
}

let done = 0
const failed: string[] = []
// At most 200 are in flight or wait to be looked at. `break` would cancel them; `signal` does so from outside.
for await (const { item, error } of requester.requestEach(setPrice, changes(), { concurrency: 200 })) {
  if (error === undefined) done++
  else failed.push(`${item.product}: ${error.message}`)
  if ((done + failed.length) % 1_000 === 0) console.log(`${done + failed.length} of 3000`)
}
console.log(`${done} done, ${failed.length} failed`)
for (const line of failed.toSorted()) console.log(line)

// Prints:
// 1000 of 3000
// 2000 of 3000
// 3000 of 3000
// 2997 done, 3 failed
// product-1000: operation price.set: NO_PRICE: 0 is no price
// product-2000: operation price.set: NO_PRICE: 0 is no price
// product-3000: operation price.set: NO_PRICE: 0 is no price
