/** One way: acknowledged by the brokers, handled by the replier, and nobody waits for a reply. */
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import { createReplier, createRequester, defineOperation, replyPartition } from '@milena/request-reply'
import { z } from 'zod'

// A broker in this process, or yours: KAFKA_BROKERS=host:port,…
await using broker = process.env['KAFKA_BROKERS'] ? undefined : await startEmbeddedKafka()
const kafka = { brokers: broker?.brokers ?? process.env['KAFKA_BROKERS']!.split(',') }

const addPoints = defineOperation({
  name: 'points.add',
  topic: 'send-points',
  request: z.object({ customer: z.string(), points: z.int() }),
  reply: z.object({ total: z.int() }),
  key: ({ customer }) => customer,
  timeout: 10_000,
})

const totals = new Map<string, number>()
await using replier = createReplier({ kafka, groupId: 'send-worker', createTopics: true })
// The same handler for both: of what was sent one way it is called, and what it returns is nobody's.
replier.handle(addPoints, ({ customer, points }) => {
  const total = (totals.get(customer) ?? 0) + points
  totals.set(customer, total)
  return { total }
})
await replier.start()
await using requester = await createRequester({
  kafka,
  replyRouting: replyPartition({ topic: 'send-replies' }),
  createTopics: true,
})

// Resolves when all in-sync replicas have it: from then on it is not lost, whoever is killed.
const { topic, partition, offset } = await requester.send(addPoints, { customer: 'c-1', points: 10 })
console.log(`acknowledged: ${topic}, partition ${partition}, offset ${offset}`)
await Promise.all([20, 30].map((points) => requester.send(addPoints, { customer: 'c-1', points })))

// Of one key everything keeps its order: this one is handled after what was sent before it.
const { value } = await requester.request(addPoints, { customer: 'c-1', points: 40 })
console.log(`and with the request's own: ${value.total} points`)

// Prints:
// acknowledged: send-points, partition …, offset …
// and with the request's own: 100 points
