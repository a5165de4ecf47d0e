/** A handler that is given what has gathered: one statement for hundreds of requests, and yet a reply for each. */
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import {
  batchHandler,
  createReplier,
  createRequester,
  defineOperation,
  replyPartition,
  ReplyError,
} from '@milena/request-reply'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'

// A broker in this process, or yours: KAFKA_BROKERS=host:port,…
await using broker = process.env['KAFKA_BROKERS'] ? undefined : await startEmbeddedKafka()
const kafka = { brokers: broker?.brokers ?? process.env['KAFKA_BROKERS']!.split(',') }

const addStock = defineOperation({
  name: 'stock.add',
  topic: 'batch-handler-stock',
  request: z.object({ article: z.string(), pieces: z.int() }),
  reply: z.object({ left: z.int() }),
  key: ({ article }) => article,
  timeout: 30_000,
})

const stock = new Map<string, number>()
let statements = 0
/** In the place of a database: one UPDATE for all of them, which takes a while however many there are. */
async function update(changes: readonly { article: string; pieces: number }[]) {
  statements++
  await sleep(10)
  return changes.map(({ article, pieces }) => {
    const left = (stock.get(article) ?? 0) + pieces
    if (left >= 0) stock.set(article, left)
    return left
  })
}

// Of one article there is one change in a batch, and the next one in a later batch: their order is kept.
await using replier = createReplier({
  kafka,
  groupId: 'batch-handler-worker',
  concurrency: 500,
  createTopics: true,
})
replier.handle(
  addStock,
  batchHandler(
    async (requests) => {
      const results = await update(requests.map(({ value }) => value))
      return results.map((left) => (left >= 0 ? { left } : new ReplyError('SOLD_OUT', 'there are too few')))
    },
    { size: 500 },
  ),
)
await replier.start()
await using requester = await createRequester({
  kafka,
  replyRouting: replyPartition({ topic: 'batch-handler-replies' }),
  createTopics: true,
})

const changes = Array.from({ length: 2_000 }, (_, n) => ({
  article: `a-${n % 1_000}`,
  pieces: n < 1_999 ? 1 : -5,
}))
let done = 0
let refused = 0
for await (const { error } of requester.requestEach(addStock, changes, { concurrency: 500 })) {
  if (error === undefined) done++
  else refused++
}
console.log(`${done} done, ${refused} refused, in ${statements} statements`)
if (statements > changes.length / 2) console.log('a statement for almost each: batches were no help')

// Prints:
// 1999 done, 1 refused, in … statements
