/** Warnings of what only an operator can see to: each comes, with the words by which it is looked for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { TransportError } from '../src/errors.ts'
import { Trouble } from '../src/saga/trouble.ts'
import type { MemoryTransport } from '../src/transport/memory/transport.ts'
import type { GroupMembership } from '../src/transport/transport.ts'
import { ManualClock } from './manual-clock.ts'
import { echo as work, setUp as repliers } from './replying.ts'
import { altered, echo, setUp, StagedRouting, until } from './requesting.ts'
import { warningsOf } from './warned.ts'

const value = Buffer.from('x')

test('a replier tells of a start that waits, of reading that is disturbed, and of a group that it could not leave', async (t) => {
  const { replier, connect, warned } = await repliers(t)
  const inner = connect()
  const connection = altered(inner, {
    async join(options): Promise<GroupMembership> {
      const membership = await inner.join(options)
      options.onWaiting!({ waited: 5_000, sessionTimeout: 15_000 })
      options.onError!(new TransportError('MILENA_BROKER_UNREACHABLE', 'no broker has answered for 2 s'))
      const close = membership.close.bind(membership)
      membership.close = async () => {
        membership.close = close
        await close()
        throw new Error('away')
      }
      return membership
    },
  }) as MemoryTransport
  const one = replier({ connection })
  one.handle(work, () => 'done')
  await one.start()
  await one.close({ timeout: 0 })
  const told = warned.map(({ message, error }) => `${message}|${String(error)}`)
  assert.match(told[0]!, /^the start waits for the group: a member may have died without leaving/)
  assert.deepEqual(warned[0]!.details, { groupId: 'shop', waited: 5_000, sessionTimeout: 15_000 })
  assert.match(told[1]!, /^reading requests is disturbed\|.*no broker has answered for 2 s/)
  assert.match(told[2]!, /^leaving the group failed\|Error: away/)
  assert.equal(warned.length, 3)
})

test('a replier tells what a handler has thrown that is no error, and names no place where it was not thrown', async (t) => {
  const { replier, asking, warned } = await repliers(t)
  const one = replier()
  one.handle(work, (text) => Promise.reject(text === 'nothing' ? undefined : text))
  await one.start()
  for (const text of ['out of stock', 'nothing']) await asking.ask(text)
  await until(() => warned.length === 2)
  const told = warned.map(({ message, details }) => `${message}: ${String(details.error)}`).toSorted()
  assert.deepEqual(told, ['a handler failed: Error: undefined', 'a handler failed: thrown: out of stock'])
  for (const { details } of warned) assert.doesNotMatch(String(details.stack), /\n +at /)
})

test('a replier tells of a handler that runs for long, and when all slots are taken for long', async (t) => {
  const { replier, asking, warned } = await repliers(t)
  const clock = new ManualClock()
  const one = replier({ clock, concurrency: 1, slowAfter: 1_000 })
  const running = Promise.withResolvers<void>()
  const done = Promise.withResolvers<string>()
  one.handle(work, () => {
    running.resolve()
    return done.promise
  })
  await one.start()
  await asking.ask('never')
  await running.promise
  for (let passed = 0; passed < 4_000 && warned.length < 2; passed += 500) await clock.advance(500)
  done.resolve('x')
  const told = warned.map(({ message }) => message).toSorted()
  assert.deepEqual(told, [
    'a handler has been running for long',
    'no request begins: all slots have been taken, and none became free, for long',
  ])
})

test('a requester tells of trouble with its reply topic, of what it cannot read there, and of an onLateReply that fails', async () => {
  const told: string[] = []
  const replyRouting = new StagedRouting()
  const { requester, replier, clock } = await setUp(() => undefined, {
    replyRouting,
    logger: { warn: (message, _details, error) => void told.push(`${message}|${String(error)}`) },
    onLateReply: () => {
      throw new Error('no database')
    },
  })
  replyRouting.context!.warn(new TransportError('MILENA_TOPIC_MISSING', 'topic replies does not exist'))
  assert.match(told[0]!, /^the reply routing has a trouble\|.*topic replies does not exist$/)
  replyRouting.context!.unreadable({
    topic: 'replies',
    partition: 2,
    offset: 3,
    next: 4,
    bytes: 1,
    reason: 'cut',
  })
  assert.match(told[1]!, /^a stretch of a reply topic cannot be read, where replies may have stood\|/)
  const outcome = assert.rejects(requester.request(echo, value, { timeout: 50 }), { code: 'MILENA_TIMEOUT' })
  await until(() => replier.requests.length === 1)
  await clock.advance(50)
  await outcome
  await replier.answer(replier.requests[0]!, { value })
  await until(() => told.length === 3)
  assert.equal(told[2], 'onLateReply failed|Error: no database')
})

test('a replier tells of a schema that fails, with what it has thrown', async (t) => {
  const { replier, asking, warned } = await repliers(t)
  const broken = defineOperation({
    name: 'echo',
    topic: work.topic,
    request: string({
      '~standard': {
        version: 1,
        vendor: 'test',
        validate() {
          throw new Error('no rules')
        },
      },
    }),
    reply: string(),
  })
  const one = replier()
  one.handle(broken, () => 'x')
  await one.start()
  await asking.ask('x')
  await until(() => warned.length > 0)
  assert.equal(warned[0]!.message, 'the schema of a request failed')
  assert.match(String(warned[0]!.details.stack), /^Error: no rules\n +at /)
})

test('a requester that cannot give back its reply address in time says so, and is closed', async () => {
  const told: string[] = []
  const replyRouting = new StagedRouting()
  const open = replyRouting.open.bind(replyRouting)
  replyRouting.open = async (context) => ({ ...(await open(context)), close: () => new Promise(() => {}) })
  const { requester, clock } = await setUp(undefined, {
    replyRouting,
    logger: { warn: (message) => void told.push(message) },
  })
  const closed = requester.close({ timeout: 0 })
  for (let passed = 0; passed < 60_000 && told.length === 0; passed += 1_000) await clock.advance(1_000)
  assert.deepEqual(told, ['the brokers did not answer in time: the reply address was not given back'])
  await closed
})

test('a saga store that cannot be used is told once, and again after it could be', () => {
  const told: string[] = []
  const clock = new ManualClock()
  const warnings = warningsOf(
    clock,
    (message, details) => void told.push(`${message}|${String(details.error)}`),
  )
  const trouble = new Trouble(clock, warnings, new AbortController().signal)
  trouble.began(new Error('away'))
  trouble.began(new Error('away'))
  trouble.ended()
  trouble.began(new Error('no rights'))
  assert.deepEqual(told, [
    'the saga store cannot be used; it is tried again|Error: away',
    'the saga store cannot be used; it is tried again|Error: no rights',
  ])
})
