/** A service over HTTP that asks another one over Kafka: a status for each outcome, probes, and an end that loses nothing. */
import { setTimeout as sleep } from 'node:timers/promises'
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import {
  createReplier,
  createRequester,
  defineOperation,
  isMilenaError,
  replyPartition,
  ReplyError,
  type AnyMilenaError,
} from '@milena/request-reply'
import Fastify from 'fastify'
import { z } from 'zod'

const broker = process.env['KAFKA_BROKERS'] ? undefined : await startEmbeddedKafka()
const kafka = { brokers: broker?.brokers ?? process.env['KAFKA_BROKERS']!.split(',') }

const approve = defineOperation({
  name: 'payment.approve',
  topic: 'http-service-payments',
  request: z.object({ orderId: z.string().min(1), amount: z.int().positive() }),
  reply: z.object({ approvalId: z.string() }),
  key: ({ orderId }) => orderId,
  timeout: 4_000, // less than what the caller waits for an HTTP answer
})

type PaymentBody = { orderId: string; amount: number }

// The worker: in your system a process of its own.
const replier = createReplier({ kafka, groupId: 'http-service-workers', createTopics: true })
replier.handle(approve, async ({ orderId, amount }) => {
  if (amount > 1_000)
    throw new ReplyError('LIMIT_EXCEEDED', `${amount} is more than 1000`, { effect: 'none' })
  if (orderId === 'o-late') await sleep(5_000)
  if (orderId === 'o-last') await sleep(500)
  return { approvalId: `approved-${orderId}` }
})
await replier.start()

// The gateway.
const late = Promise.withResolvers<void>()
const requester = await createRequester({
  kafka,
  replyRouting: replyPartition({ topic: 'http-service-payment-replies' }),
  createTopics: true,
  onLateReply({ reply }) {
    console.log('late:', JSON.stringify(reply?.value))
    late.resolve()
  },
})

const app = Fastify({ bodyLimit: 16_384, requestTimeout: 10_000 })

// The body as it came: the operation's schema checks it, and what is wrong is MILENA_REQUEST_INVALID.
app.post('/payments', (request) =>
  requester.request(approve, request.body as PaymentBody).then(({ value }) => value),
)

app.setErrorHandler((error, _request, response) => {
  if (!isMilenaError(error)) return response.send(error) // Fastify's own: a body that is no JSON, …
  const status = statusOf(error)
  if (status === 503) response.header('retry-after', '1')
  const code = error.code === 'MILENA_REMOTE_ERROR' ? error.remoteCode : error.code
  const outcome = error.outcomeKnown ? error.effect : 'unknown'
  return response.code(status).type('application/problem+json').send({ title: code, status, code, outcome })
})

/** What a caller may do next: mend the request, come again, or find out what became of it. */
function statusOf(error: AnyMilenaError): number {
  if (error.code === 'MILENA_REQUEST_INVALID') return 400
  // The other side has answered: with an error that it means for the caller, or with one of its own trouble.
  if (error.code === 'MILENA_REMOTE_ERROR') return error.remoteCode.startsWith('MILENA_') ? 502 : 422
  // Certainly not sent: nothing was done, and coming again is safe where the error says so.
  if (error.sent === 'no') return error.retryable || error.code === 'MILENA_CLOSED' ? 503 : 500
  // A reply that cannot be read: the work was done.
  if (error.code === 'MILENA_REPLY_INVALID' || error.code === 'MILENA_CODEC_FAILED') return 502
  return 504 // sent, and no answer: the outcome is unknown
}

let ending = false
app.get('/live', () => ({ live: true }))
app.get('/ready', (_request, response) => {
  const { receiving, troubles } = requester.health()
  const ready = receiving && !ending
  return response.code(ready ? 200 : 503).send({ ready, troubles: troubles.map(({ kind }) => kind) })
})

const url = await app.listen({ port: 0, host: '127.0.0.1' })

const ended = new Promise<void>((resolve) => process.once('SIGTERM', () => resolve(end())))

async function end(): Promise<void> {
  ending = true // 1. /ready says no; in production: wait here until the load balancer has seen it
  await app.close() // 2. no new calls; those that run get their answers
  await requester.close() // 3. nothing is pending any more, or is told so: MILENA_ABANDONED
  await replier.close() // (the worker's own end: handlers that run are waited for, and committed)
  await broker?.close()
}

// What a caller sees.
const pay = async (orderId: string, amount: number): Promise<void> => {
  const headers = { 'content-type': 'application/json', connection: 'close' }
  const body = JSON.stringify({ orderId, amount })
  const answer = await fetch(`${url}/payments`, { method: 'POST', headers, body })
  console.log(answer.status, JSON.stringify(await answer.json()))
}
await pay('o-1', 990)
await pay('', 990)
await pay('o-2', 9_900)
await pay('o-late', 990)
await late.promise
console.log('ready', (await fetch(`${url}/ready`, { headers: { connection: 'close' } })).status)
const last = pay('o-last', 990) // while the process is asked to end
while (requester.health().pending === 0) await sleep(5)
process.kill(process.pid, 'SIGTERM')
await Promise.all([last, ended])

// Prints:
// 200 {"approvalId":"approved-o-1"}
// 400 {"title":"MILENA_REQUEST_INVALID","status":400,"code":"MILENA_REQUEST_INVALID","outcome":"none"}
// 422 {"title":"LIMIT_EXCEEDED","status":422,"code":"LIMIT_EXCEEDED","outcome":"none"}
// 504 {"title":"MILENA_TIMEOUT","status":504,"code":"MILENA_TIMEOUT","outcome":"unknown"}
// late: {"approvalId":"approved-o-late"}
// ready 200
// 200 {"approvalId":"approved-o-last"}
