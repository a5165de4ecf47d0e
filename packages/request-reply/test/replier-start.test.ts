/** What a replier is given, and what keeps it from starting. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { json, string } from '../src/contract/payload.ts'
import { MilenaError, OptionsError } from '../src/errors.ts'
import { createReplier } from '../src/replier/replier.ts'
import { approve, echo, setUp } from './replying.ts'

test('a missing request topic is an error that names it and what makes it', async (t) => {
  const { replier } = await setUp(t)
  const elsewhere = defineOperation({ name: 'x', topic: 'missing_request', request: json() })
  const worker = replier()
  worker.handle(elsewhere, () => undefined)
  await assert.rejects(worker.start(), (error: MilenaError) => {
    assert.equal(error.code, 'MILENA_TOPIC_MISSING')
    assert.match(error.message, /missing_request/)
    assert.match(error.message, /createTopics: true/)
    return true
  })
})

test('after a start that failed, start can be called again', async (t) => {
  const { replier, connect, asking } = await setUp(t)
  const worker = replier()
  worker.handle(
    defineOperation({ name: 'x', topic: 'shop_late', request: json(), reply: string() }),
    () => 'done',
  )
  await assert.rejects(worker.start(), { code: 'MILENA_TOPIC_MISSING' })
  await connect().createTopics([{ name: 'shop_late', partitions: 1 }])
  await worker.start()
  assert.equal((await asking.answerTo('x', { topic: 'shop_late' })).text, 'done')
})

test('createTopics makes a missing request topic', async (t) => {
  const { replier, connect } = await setUp(t)
  const worker = replier({ createTopics: true })
  worker.handle(defineOperation({ name: 'x', topic: 'made_request', request: json() }), () => undefined)
  await worker.start()
  assert.equal((await connect().describeTopics(['made_request'])).get('made_request')?.partitions, 6)
})

test('handle and use are refused once the replier was started', async (t) => {
  const { replier } = await setUp(t)
  const worker = replier()
  worker.handle(echo, (request) => request)
  await worker.start()
  assert.throws(() => worker.handle(approve, () => ({ approvalId: '' })), OptionsError)
  assert.throws(() => worker.use((_request, _context, next) => next()), OptionsError)
})

test('nothing to handle, an operation twice, and replies into a request topic are told at once', async (t) => {
  const { replier } = await setUp(t)
  await assert.rejects(replier().start(), /call replier.handle/)
  const twice = replier()
  twice.handle(echo, (request) => request)
  assert.throws(() => twice.handle(echo, (request) => request), /has a handler already/)
  const loop = replier()
  loop.handle(echo, (request) => request, { replyTo: { topic: 'shop_request' } })
  await assert.rejects(loop.start(), /shop_request is a topic that this replier handles/)
})

test('every problem of the options is told at once', () => {
  assert.throws(
    () =>
      createReplier({
        groupId: '',
        concurrency: 0,
        replyTopics: ['a b'],
        copyHeaders: ['kafka_correlationId'],
        replyHeaders: { 'milena-error-code': 'x' },
        heartbeatInterval: 20_000,
        drainTimeout: -1,
      }),
    (error: OptionsError) => {
      assert.equal(error.problems.length, 8)
      for (const name of [
        'groupId',
        'concurrency',
        'replyTopics',
        'copyHeaders',
        'replyHeaders',
        'drainTimeout',
      ]) {
        assert.match(error.message, new RegExp(name))
      }
      return true
    },
  )
})

test('options of the wrong kind are told, not tripped over', () => {
  const wrong = {
    groupId: 'g',
    concurency: 1,
    replyTopics: 'reply',
    copyHeaders: [7],
    select: 'echo',
    logger: {},
    from: 'middle',
  }
  assert.throws(
    () => createReplier(wrong as never),
    (error: OptionsError) => {
      for (const name of ['concurency', 'replyTopics', 'copyHeaders', 'select', 'logger', 'from'])
        assert.match(error.message, new RegExp(name))
      return true
    },
  )
})
