/** What stored outcomes must do on every transport. */
import assert from 'node:assert/strict'
import {
  createReplier,
  createRequester,
  defineOperation,
  idempotency,
  memoryIdempotencyStore,
  replyPartition,
  string,
  type Replier,
  type ReplierOptions,
  type Transport,
} from '@milena/request-reply'

export interface IdempotencyCase {
  readonly requests: string
  readonly replies: string
  /** How long a dead replier keeps its partitions, in milliseconds. */
  readonly sessionTimeout: number
  /** A connection of its own, and how its process dies. */
  connect(): Promise<{ readonly transport: Transport; readonly die: () => Promise<void> | void }>
}

/** The first owner did the work, stored its reply and died before it was sent; by then the deadline is over. */
export async function answersFromTheStore(on: IdempotencyCase): Promise<void> {
  const pay = defineOperation({
    name: 'pay',
    topic: on.requests,
    request: string(),
    reply: string(),
    key: (order) => order,
  })
  const store = memoryIdempotencyStore()
  const { transport } = await on.connect()
  const late = Promise.withResolvers<unknown>()
  await using requester = await createRequester({
    transport,
    replyRouting: replyPartition({ topic: on.replies }),
    timeout: 1_000,
    onLateReply: ({ reply, error }) => late.resolve(reply?.value ?? error),
  })

  let handled = 0
  const handler = (order: string): string => `approved ${order}, ${++handled}`
  const doomed = await on.connect()
  await using first = replierOn(on, doomed.transport, { drainTimeout: 0 })
  first.useRecords(async (_request, next) => {
    const outcome = await next()
    await doomed.die()
    return outcome
  })
  first.useRecords(idempotency({ store }))
  first.handle(pay, handler)
  await first.start()
  await assert.rejects(requester.request(pay, 'o-1'), { code: 'MILENA_TIMEOUT' })
  assert.equal(handled, 1)
  assert.equal(store.stats().entries, 1)

  const next = await on.connect()
  await using second = replierOn(on, next.transport)
  second.useRecords(idempotency({ store }))
  second.handle(pay, handler)
  await second.start()
  assert.equal(await late.promise, 'approved o-1, 1')
  assert.equal((await requester.request(pay, 'o-2', { timeout: 60_000 })).value, 'approved o-2, 2')
  assert.equal(handled, 2)
}

function replierOn(
  on: IdempotencyCase,
  transport: Transport,
  options: Partial<ReplierOptions> = {},
): Replier {
  return createReplier({
    transport,
    groupId: `${on.requests}-workers`,
    replyTopics: [on.replies],
    logger: { warn() {} },
    sessionTimeout: on.sessionTimeout,
    heartbeatInterval: on.sessionTimeout / 10,
    commitInterval: 0,
    ...options,
  })
}
