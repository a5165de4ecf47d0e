/** One request that three services answer, each with a consumer group of its own: all offers, one that is good enough, those there are. */
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import { createReplier, createRequester, defineOperation, replyPartition } from '@milena/request-reply'
import { z } from 'zod'

// A broker in this process, or yours: KAFKA_BROKERS=host:port,…
await using broker = process.env['KAFKA_BROKERS'] ? undefined : await startEmbeddedKafka()
const kafka = { brokers: broker?.brokers ?? process.env['KAFKA_BROKERS']!.split(',') }

const quote = defineOperation({
  name: 'quote',
  topic: 'gather-quotes',
  request: z.object({ item: z.string() }),
  reply: z.object({ supplier: z.string(), price: z.number() }),
})

const suppliers = Object.entries({ north: 12, south: 9, west: 11 }).map(([supplier, price]) => {
  const replier = createReplier({ kafka, groupId: `gather-${supplier}`, createTopics: true })
  replier.handle(quote, () => ({ supplier, price }))
  return replier
})
await Promise.all(suppliers.map((supplier) => supplier.start()))
await using requester = await createRequester({
  kafka,
  replyRouting: replyPartition({ topic: 'gather-replies' }),
  createTopics: true,
  timeout: 30_000,
})

// All three, in whatever order they answer.
const all = await requester.requestMany(quote, { item: 'tea' }, { count: 3 })
const offers = all.replies.map(({ value }) => value).toSorted((a, b) => a.price - b.price)
console.log(`all: ${offers.map(({ supplier, price }) => `${supplier} ${price}`).join(', ')}`)

// Until one is good enough.
const enough = await requester.requestMany(
  quote,
  { item: 'tea' },
  { until: (replies) => replies.some(({ value }) => value.price < 10) },
)
console.log(`below 10: ${enough.replies.at(-1)!.value.supplier}`)

// One is away: the timeout ends the wait with what there is.
await suppliers[0]!.close()
const some = await requester.requestMany(quote, { item: 'tea' }, { count: 3, timeout: 3_000 })
console.log(`complete: ${some.complete}, from ${some.groups.toSorted().join(' and ')}`)

await Promise.all(suppliers.map((supplier) => supplier.close()))

// Prints:
// all: south 9, west 11, north 12
// below 10: south
// complete: false, from gather-south and gather-west
