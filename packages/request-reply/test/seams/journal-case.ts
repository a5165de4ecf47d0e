/** What the journal must do on every transport: a requester dies with requests under way, and its successor finishes them. */
import assert from 'node:assert/strict'
import {
  createReplier,
  createRequester,
  defineOperation,
  replyPartition,
  string,
  type Operation,
  type Requester,
  type Transport,
} from '@milena/request-reply'
import { Journal } from './journal.ts'

export interface JournalCase {
  readonly requests: string
  readonly replies: string
  /** A connection of its own, and how its process dies. */
  connect(): Promise<{ readonly transport: Transport; readonly die: () => Promise<void> | void }>
}

export async function finishesWhatADeadInstanceHadAccepted(on: JournalCase): Promise<void> {
  const far = await on.connect()
  const gate = Promise.withResolvers<void>()
  const handled: string[] = []
  await using replier = createReplier({
    transport: far.transport,
    groupId: `${on.requests}-workers`,
    replyTopics: [on.replies],
  })
  const work = defineOperation({ name: 'work', topic: on.requests, request: string(), reply: string() })
  const started = Promise.withResolvers<void>()
  replier.handle(work, async (value) => {
    handled.push(value)
    if (handled.length === 3) started.resolve()
    if (value !== 'before') await gate.promise
    return `done: ${value}`
  })
  await replier.start()

  const journal = new Journal()
  const first = await on.connect()
  const dying = await open(on, first.transport, journal)
  assert.equal((await journal.request(dying, work, 'before')).value, 'done: before')
  const lost = ['one', 'two'].map((value) => journal.request(dying, work, value, { timeout: 60_000 }))
  const ended = Promise.allSettled(lost)
  await started.promise
  // What a dead process has in memory is nobody's; only the table is left, as it was at that moment.
  const survived = new Journal(new Map(journal.entries))
  await first.die()
  await dying.close({ timeout: 0 })
  await ended
  gate.resolve()

  const second = await on.connect()
  const successor = await open(on, second.transport, survived)
  const finished = new Map<string, string>()
  await survived.recover(
    successor,
    [work as unknown as Operation<never, unknown, never, unknown>],
    (entry, outcome) => {
      finished.set(String(entry.request), outcome instanceof Error ? outcome.message : String(outcome.value))
    },
  )
  assert.deepEqual(
    Object.fromEntries(finished),
    { one: 'done: one', two: 'done: two' },
    'the replies reach the instance that took over',
  )
  assert.deepEqual(
    [...handled].toSorted((a, b) => a.localeCompare(b)),
    ['before', 'one', 'two'],
    'nothing was sent twice',
  )
  assert.equal(survived.entries.size, 0)
  await successor.close()
  await second.die()
  await replier.close()
  await far.die()
}

function open(on: JournalCase, transport: Transport, journal: Journal): Promise<Requester> {
  return createRequester({
    transport,
    instanceId: 'gateway-1',
    replyRouting: replyPartition({ topic: on.replies, partition: 1 }),
    ...(journal.resumeFrom !== undefined && { resumeFrom: journal.resumeFrom }),
  })
}
