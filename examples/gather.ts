/** One request, answered by three services, each with a consumer group of its own: the cheapest quote of all that came. */
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import {
  createReplier,
  createRequester,
  defineOperation,
  json,
  replyPartition,
  string,
} from '@milena/request-reply'

const broker = await startEmbeddedKafka()
const kafka = { brokers: [...broker.brokers] }
const quote = defineOperation({
  name: 'quote',
  topic: 'quote_request',
  request: string(),
  reply: json<{ supplier: string; price: number }>(),
})
const requester = await createRequester({
  kafka,
  replyRouting: replyPartition({ topic: 'quote_reply' }),
  createTopics: true,
  timeout: 30_000,
})
const suppliers = await Promise.all(
  Object.entries({ north: 12, south: 9, west: 11 }).map(async ([supplier, price]) => {
    const replier = createReplier({ kafka, groupId: `quotes-${supplier}`, createTopics: true })
    replier.handle(quote, () => ({ supplier, price }))
    await replier.start()
    return replier
  }),
)

const all = await requester.requestMany(quote, 'tea', { count: 3 })
const offers = all.replies.map(({ value }) => value).toSorted((a, b) => a.price - b.price)
console.log(`all three: ${offers.map(({ supplier, price }) => `${supplier} ${price}`).join(', ')}`)

const enough = await requester.requestMany(quote, 'tea', {
  until: (replies) => replies.some(({ value }) => value.price < 10),
})
console.log(`below 10: ${enough.replies.at(-1)!.value.supplier}`)

await suppliers[0]!.close()
const some = await requester.requestMany(quote, 'tea', { count: 3, timeout: 2_000 })
console.log(`without north, complete: ${some.complete}, from ${some.groups.toSorted().join(' and ')}`)

await requester.close()
await Promise.all(suppliers.map((supplier) => supplier.close()))
await broker.close()
