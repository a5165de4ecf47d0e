/** The first code with what most services want next: a schema, a key, and an error that the caller understands. */
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import {
  createReplier,
  createRequester,
  defineOperation,
  isMilenaError,
  replyPartition,
  ReplyError,
} from '@milena/request-reply'
import { z } from 'zod'

// A broker in this process, or yours: KAFKA_BROKERS=host:port,…
await using broker = process.env['KAFKA_BROKERS'] ? undefined : await startEmbeddedKafka()
const kafka = { brokers: broker?.brokers ?? process.env['KAFKA_BROKERS']!.split(',') }

const approve = defineOperation({
  name: 'payment.approve',
  topic: 'first-payments',
  request: z.object({ orderId: z.string(), amount: z.int().positive() }),
  reply: z.object({ approvalId: z.string() }),
  key: ({ orderId }) => orderId, // requests of one order are handled in order
  timeout: 10_000,
})

// In your system these two are processes of their own, and as many of each as you like.
await using replier = createReplier({ kafka, groupId: 'first-worker', createTopics: true })
replier.handle(approve, ({ orderId, amount }) => {
  if (amount > 1_000) throw new ReplyError('LIMIT_EXCEEDED', `${amount} is more than 1000`)
  return { approvalId: `approved-${orderId}` }
})
await replier.start()
await using requester = await createRequester({
  kafka,
  replyRouting: replyPartition({ topic: 'first-payment-replies' }),
  createTopics: true,
})

const { value } = await requester.request(approve, { orderId: 'o-1', amount: 990 })
console.log(value.approvalId)

try {
  await requester.request(approve, { orderId: 'o-2', amount: 9_900 })
} catch (error) {
  if (!isMilenaError(error) || error.code !== 'MILENA_REMOTE_ERROR') throw error
  console.log(`${error.remoteCode}: ${error.remoteMessage}`)
}

// Prints:
// approved-o-1
// LIMIT_EXCEEDED: 9900 is more than 1000
