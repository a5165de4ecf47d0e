/** Requests made inside of handlers, A → B → C: one trace, one tenant, and for all of it the time that the first caller has. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import {
  createReplier,
  createRequester,
  defineOperation,
  isMilenaError,
  RemoteError,
  replyPartition,
  string,
  type Middleware,
} from '@milena/request-reply'

// A broker in this process, or yours: KAFKA_BROKERS=host:port,…
await using broker = process.env['KAFKA_BROKERS'] ? undefined : await startEmbeddedKafka()
const kafka = { brokers: broker?.brokers ?? process.env['KAFKA_BROKERS']!.split(',') }

const options = { request: string(), reply: string() }
const place = defineOperation({ name: 'order.place', topic: 'forward-orders', ...options })
const reserve = defineOperation({ name: 'stock.reserve', topic: 'forward-stock', ...options })
const pick = defineOperation({ name: 'depot.pick', topic: 'forward-depot', ...options })

/** Whose work this is, wherever in the call it is asked for: an HTTP server would know it from its request. */
const tenants = new AsyncLocalStorage<string>()

await using requester = await createRequester({
  kafka,
  replyRouting: replyPartition({ topic: 'forward-replies' }),
  createTopics: true,
  timeout: 30_000, // the most for each; what is left of the deadline may be less
  headers: () => ({ tenant: tenants.getStore() ?? 'nobody' }),
})

/** Each handler runs as the tenant of its request, so that what it asks for goes out in that name. */
const asTenant: Middleware = (request, context, next) =>
  tenants.run(context.headers.text('tenant') ?? 'nobody', async () => {
    const trace = context.headers.text('traceparent')?.slice(3, 11)
    const left = context.deadline! - Date.now()
    console.log(`${context.operation}: trace ${trace}, tenant ${tenants.getStore()}, ${seconds(left)} left`)
    return next(request)
  })

// In your system these are three services.
await using replier = createReplier({ kafka, groupId: 'forward-worker', createTopics: true })
replier.use(asTenant)
replier.handle(place, async (order, context) => {
  const { value } = await requester.request(reserve, order, context.forward())
  return `order of ${value}`
})
/** The handler in the middle has ended, too. */
const stopped = Promise.withResolvers<void>()
replier.handle(reserve, async (order, context) => {
  try {
    // Options of its own beside them: they are ordinary request options.
    const { value } = await requester.request(pick, order, { ...context.forward(), key: order })
    return `reserved ${value}`
  } catch (error) {
    // Nobody waits for it any more, so it waits for nothing either.
    if (isMilenaError(error)) console.log(`${context.operation} has stopped waiting`)
    stopped.resolve()
    throw error
  }
})
replier.handle(pick, async (order, { signal }) => {
  if (order === 'piano') await aborted(signal)
  return `1 ${order}`
})
await replier.start()

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const reply = await tenants.run('acme', () =>
  requester.request(place, 'lamp', { headers: { traceparent }, timeout: 20_000 }),
)
console.log(reply.value)

try {
  await requester.request(place, 'piano', { timeout: 2_000 })
} catch (error) {
  // Its own timeout, or the error reply of a replier that had stopped for want of time, whichever came first.
  const codes: unknown[] = ['MILENA_TIMEOUT', 'MILENA_DEADLINE_EXCEEDED']
  if (!isMilenaError(error)) throw error
  await stopped.promise
  console.log('out of time:', codes.includes(error instanceof RemoteError ? error.remoteCode : error.code))
}

// A deadline that is over: not even sent.
await requester.request(place, 'lamp', { deadline: Date.now() - 1 }).catch((error: Error) => {
  console.log(isMilenaError(error) && `${error.code}, sent: ${error.sent}`)
})

function seconds(milliseconds: number): string {
  return milliseconds > 5_000 ? 'more than 5 s' : 'at most 5 s'
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
}

// Prints:
// order.place: trace 4bf92f35, tenant acme, more than 5 s left
// stock.reserve: trace 4bf92f35, tenant acme, more than 5 s left
// depot.pick: trace 4bf92f35, tenant acme, more than 5 s left
// order of reserved 1 lamp
// order.place: trace undefined, tenant nobody, at most 5 s left
// stock.reserve: trace undefined, tenant nobody, at most 5 s left
// depot.pick: trace undefined, tenant nobody, at most 5 s left
// stock.reserve has stopped waiting
// out of time: true
// MILENA_NOT_SENT, sent: no
