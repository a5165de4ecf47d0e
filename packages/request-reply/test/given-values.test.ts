/**
 * Functions that take a value and no options, as those who write stores, routings and record middleware call them: a value of
 * another kind is refused in words of ours, or can be lived with.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as all from '@milena/request-reply'
import { createMemoryBroker } from '@milena/request-reply/testing'
import { functionsOf, refuseUnlisted } from '../../../test/support/given-options.ts'

const say = all.defineOperation({
  name: 'say',
  topic: 'say_request',
  request: all.string(),
  reply: all.string(),
})
const memory = createMemoryBroker({ topics: [{ name: 'say_request', partitions: 1 }] })
const transport = memory.connect()
const saga = all.defineSaga({ name: 'trip' }).step('hotel', () => 'booked')
const sagas = all.createSagas({ store: new all.MemorySagaStore(), sagas: [saga] })
const step = all.defineSaga({ name: 'steps' })
const id = Buffer.alloc(16, 1)
const reply = { kind: 'reply', value: null, headers: [] } as const
const request = { operation: 'say', correlationId: '', topic: 'say_request', key: null, position: undefined }
const noReply = (): never => assert.fail('it was called')

before(() => sagas.start())
after(() => Promise.all([sagas.close(), transport.close()]))

/** By its name: each of its arguments in turn is the value, the others are right. */
const table: Readonly<Record<string, readonly ((given: never) => unknown)[]>> = {
  OptionsError: [
    (given) => new all.OptionsError(given, ['wrong']),
    (given) => new all.OptionsError('it', given),
    (given) => new all.OptionsError('it', [given]),
    (given) => new all.OptionsError('it', ['wrong'], given),
  ],
  MilenaError: [
    (given) => new all.MilenaError(given, 'closed'),
    (given) => new all.MilenaError('MILENA_CLOSED', given),
    (given) => new all.MilenaError('MILENA_CLOSED', 'closed', given),
  ],
  TransportError: [
    (given) => new all.TransportError(given, 'closed'),
    (given) => new all.TransportError('MILENA_CLOSED', 'closed', given),
  ],
  RemoteError: [
    (given) => new all.RemoteError(given, 'NO', 'no'),
    (given) => new all.RemoteError('say', given, 'no'),
    (given) => new all.RemoteError('say', 'NO', given),
    (given) => new all.RemoteError('say', 'NO', 'no', given),
  ],
  TimeoutError: [
    (given) => new all.TimeoutError(given, 1),
    (given) => new all.TimeoutError('say', given),
    (given) => new all.TimeoutError('say', 1, given),
  ],
  ValidationError: [
    (given) => new all.ValidationError(given, 'say', []),
    (given) => new all.ValidationError('MILENA_REPLY_INVALID', given, []),
    (given) => new all.ValidationError('MILENA_REPLY_INVALID', 'say', given),
    (given) => new all.ValidationError('MILENA_REPLY_INVALID', 'say', [given]),
  ],
  ReplyError: [(given) => new all.ReplyError(given, 'no'), (given) => new all.ReplyError('NO', given)],
  StepError: [(given) => new all.StepError(given)],
  TransactionRefused: [(given) => new all.TransactionRefused(given)],
  MessageHeaders: [(given) => new all.MessageHeaders(given)],
  correlationKey: [(given) => all.correlationKey(given)],
  decodeStoredOutcome: [(given) => all.decodeStoredOutcome(given)],
  encodeStoredOutcome: [
    (given) => all.encodeStoredOutcome(given),
    (given) => all.encodeStoredOutcome({ kind: given }),
    (given) => all.encodeStoredOutcome({ ...reply, value: given }),
    (given) => all.encodeStoredOutcome({ ...reply, headers: given }),
  ],
  encodeHeaders: [(given) => all.encodeHeaders(given)],
  fixed: [(given) => all.fixed(given)],
  gatheredIn: [
    (given) => all.gatheredIn(given, say),
    (given) => all.gatheredIn(new all.MilenaError('MILENA_CLOSED', 'closed', { request }), given),
  ],
  idempotencyScope: [(given) => all.idempotencyScope(given, 'say')],
  inTransaction: [(given) => step.step('hotel', all.inTransaction(given))],
  isMilenaError: [(given) => all.isMilenaError(given)],
  isRetryable: [(given) => all.isRetryable(given, { kind: 'error', code: 'NO', message: 'no' })],
  journalFailed: [(given) => all.journalFailed(given, 'it', undefined)],
  journalTaken: [(given) => all.journalTaken(given, 'gw', 'is taken')],
  losslessJson: [(given) => all.losslessJson(given)],
  json: [(given) => all.json(given)],
  string: [(given) => all.string(given)],
  bytes: [(given) => all.bytes(given)],
  operation: [
    (given) =>
      step.step(
        'hotel',
        all.operation(given, () => 'a'),
      ),
    (given) => step.step('hotel', all.operation(say, given)),
  ],
  command: [
    (given) =>
      step.step(
        'hotel',
        all.command(given, () => 'a', { replyTo: 'say_reply' }),
      ),
    (given) => step.step('hotel', all.command(say, given, { replyTo: 'say_reply' })),
  ],
  effectIn: [(given) => all.effectIn(given)],
  batchHandler: [(given) => all.batchHandler(given)],
  requestRecord: [(given) => all.requestRecord(given, 'a'), (given) => all.requestRecord(say, given)],
  originOf: [(given) => all.originOf(given)],
  replyHeaders: [
    (given) => all.replyHeaders(given, [], id, reply),
    (given) => all.replyHeaders(all.nestProfile, given, id, reply),
    (given) => all.replyHeaders(all.springProfile, [], given, reply),
    (given) => all.replyHeaders(all.springProfile, [], id, given),
    (given) => all.replyHeaders(all.springProfile, [], id, { ...reply, headers: given }),
    (given) => all.replyHeaders(all.springProfile, [], id, { kind: 'error', code: given, message: 'no' }),
  ],
  requireTopic: [
    (given) => all.requireTopic(given, { name: 'say_request', partitions: 1 }, false),
    (given) => all.requireTopic(transport, given, false),
    (given) => all.requireTopic(transport, { name: given, partitions: 1 }, false),
    (given) => all.requireTopic(transport, { name: 'say_request', partitions: given }, false),
  ],
  waitingFor: [(given) => all.waitingFor(given)],
}

/** What they take is options: `given-options.test.ts` has them. */
const withOptions = [
  'createReplier',
  'createRequester',
  'createSagas',
  'deadLetter',
  'deadLetters',
  'defineOperation',
  'defineSaga',
  'exponential',
  'fileJournal',
  'idempotency',
  'instanceReplyTopic',
  'memoryIdempotencyStore',
  'MemorySagaStore',
  'openKafka',
  'replyPartition',
  'retry',
  'retryTopics',
  'sharedReplyTopic',
]

refuseUnlisted('index.ts', functionsOf(all), [], [...Object.keys(table), ...withOptions])

const values: readonly unknown[] = [undefined, null, '', 'say', 7, Number.NaN, true, {}, [], noReply]

/** The two that are documented with a TypeError have words of their own in it. */
const ownTypeError = /^(headers must be |a stored outcome )/

for (const [name, calls] of Object.entries(table))
  describe(name, () => {
    for (const call of calls)
      test(String(call).slice('(given) => '.length), async () => {
        for (const given of values) await refusesOrTakes(call, given)
      })
  })

test('a status that is not there, such as of an unknown saga, is refused with where it comes from', async () => {
  const status = await sagas.get('nobody')
  assert.equal(status, undefined)
  const message =
    /^waitingFor: it takes a status, which sagas\.get has only of a saga that is there, not undefined$/
  assert.throws(() => all.waitingFor(status as never), { code: 'MILENA_OPTIONS_INVALID', message })
})

test('sagas.replies that is called by hand refuses what is no request, and no function', async () => {
  for (const given of values as never[])
    await assert.rejects(async () => sagas.replies(given, noReply), { code: 'MILENA_OPTIONS_INVALID' })
  const stranger = { record: { headers: [] }, correlationId: undefined } as never
  await assert.rejects(async () => sagas.replies(stranger, undefined as never), /next must be a function/)
  assert.deepEqual(await sagas.replies(stranger, async () => ({ kind: 'done' })), { kind: 'done' })
})

test('a ReplyError without a code is refused; whoever does without types may give a number', () => {
  const message = /^ReplyError: code must be a text, not undefined$/
  assert.throws(() => new all.ReplyError(undefined as never, 'no'), {
    code: 'MILENA_OPTIONS_INVALID',
    message,
  })
  assert.equal(new all.ReplyError(402 as never, 'no').code, 402)
})

test('a stored outcome that is damaged is told without a word of what it holds', () => {
  const head = Buffer.from('{"secret"')
  const bytes = Buffer.concat([Buffer.from([1, 0, 0, 0, head.length]), head])
  assert.throws(() => all.decodeStoredOutcome(bytes), {
    name: 'TypeError',
    message: 'the head of a stored outcome is no JSON',
  })
})

async function refusesOrTakes(call: (given: never) => unknown, given: unknown): Promise<void> {
  try {
    await call(given as never)
  } catch (error) {
    const isOwn = all.isMilenaError(error) || (error instanceof TypeError && ownTypeError.test(error.message))
    assert.ok(isOwn, `given ${JSON.stringify(given)}: ${(error as Error).stack}`)
  }
}
