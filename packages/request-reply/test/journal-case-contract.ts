/** What a journal is for, on every transport and every store: a requester dies with requests under way, its successor finishes them. */
import assert from 'node:assert/strict'
import {
  createReplier,
  createRequester,
  defineOperation,
  replyPartition,
  string,
  type JournalStore,
  type Recovered,
  type Requester,
  type Transport,
} from '@milena/request-reply'
import { until } from './asking.ts'

export interface JournalCase {
  readonly requests: string
  readonly replies: string
  readonly store: JournalStore
  /** A connection of its own, and how its process dies. */
  connect(): Promise<{ readonly transport: Transport; readonly die: () => Promise<void> | void }>
  /** Its process counts as dead from now on. */
  abandon(instanceId: string): Promise<void> | void
}

export async function finishesWhatADeadInstanceHadAccepted(on: JournalCase): Promise<void> {
  const work = defineOperation({ name: 'work', topic: on.requests, request: string(), reply: string() })
  const far = await on.connect()
  const gate = Promise.withResolvers<void>()
  const handled: string[] = []
  await using replier = createReplier({
    transport: far.transport,
    groupId: `${on.requests}-workers`,
    replyTopics: [on.replies],
    concurrency: 10,
  })
  const [started, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  // Answered while nobody is there: an outcome that the dying one has written down is not told again.
  const dead = Promise.withResolvers<void>()
  replier.handle(work, async (value) => {
    handled.push(value)
    if (handled.length === 4) started.resolve()
    if (value === 'one') await dead.promise
    if (value === 'two') await gate.promise
    if (value === 'never') await answered.promise
    return `done: ${value}`
  })
  await replier.start()

  const open = (transport: Transport, recovered: Recovered[], finished: () => void): Promise<Requester> =>
    createRequester({
      transport,
      instanceId: 'gateway-1',
      replyRouting: replyPartition({ topic: on.replies }),
      journal: {
        store: on.store,
        operations: [work],
        onRecovered(each) {
          // What it had answered may be told again, if it died before that was written down.
          if (each.request === 'before') return assert.equal(each.reply?.value, 'done: before')
          recovered.push(each)
          finished()
        },
      },
    })

  const first = await on.connect()
  const dying = await open(first.transport, [], () => undefined)
  assert.equal((await dying.request(work, 'before', { timeout: 60_000 })).value, 'done: before')
  const partition = dying.stats().replyAddress.partition
  const lost = [
    dying.request(work, 'one', { timeout: 60_000, key: 'a' }),
    dying.request(work, 'two', { timeout: 60_000, key: 'b' }),
    dying.request(work, 'never', { timeout: 2_000, key: 'c' }),
  ]
  const ended = Promise.allSettled(lost)
  await started.promise
  await on.abandon('gateway-1')
  await first.die()
  dead.resolve()

  const second = await on.connect()
  const recovered: Recovered[] = []
  const successor = await open(second.transport, recovered, () => {
    if (recovered.length === 2) gate.resolve()
  })
  assert.equal(successor.stats().replyAddress.partition, partition, 'the address is the predecessor’s')
  assert.equal((await successor.request(work, 'new', { timeout: 60_000 })).value, 'done: new')
  await until('all that it had accepted is handed over', () => recovered.length === 3)
  answered.resolve()
  await dying.close({ timeout: 0 })
  await ended
  const outcomes = recovered.map((each) => {
    assert.ok(each.of(work))
    return [each.request, each.reply?.value ?? each.error?.code]
  })
  assert.deepEqual(Object.fromEntries(outcomes), {
    one: 'done: one',
    two: 'done: two',
    never: 'MILENA_TIMEOUT',
  })
  assert.deepEqual(
    handled.toSorted((a, b) => a.localeCompare(b)),
    ['before', 'never', 'new', 'one', 'two'],
    'nothing was sent twice',
  )
  await successor.close()

  const third = await on.connect()
  const again: Recovered[] = []
  const last = await open(third.transport, again, () => undefined)
  const { recovering, recovered: told } = last.health().journal!
  assert.deepEqual({ recovering, told, again }, { recovering: 0, told: 0, again: [] }, 'each only once')
  await last.close()
  for (const each of [second, third]) await each.die()
  await replier.close()
  await far.die()
}
