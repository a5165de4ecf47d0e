/** One request, several replies: each group and each record counts once, and what comes besides is told apart. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { remoteCodes } from '../src/errors.ts'
import type { IncomingRecord } from '../src/transport/transport.ts'
import { ask, errorFrom, from, texts, value } from './gathering.ts'
import { echo, seenOn, setUp, StagedRouting, until, warningsSeen } from './requesting.ts'

test('a second reply of one group is a duplicate and no second reply', async () => {
  const duplicates = seenOn('milena:reply:duplicate')
  const warnings = warningsSeen()
  const asked = await ask({ count: 2 })
  await asked.answer(from('a', '1'), from('a', '1'), from('a', '1'))
  await until(() => asked.requester.stats().duplicate === 2)
  assert.equal(asked.requester.stats().pending, 1)
  await asked.answer(from('b', '1'))
  assert.deepEqual(texts(await asked.gathered), ['1', '1'])
  const { duplicate, contradicting, late } = asked.requester.stats()
  assert.deepEqual([duplicate, contradicting, late, duplicates.length], [2, 0, 0, 2])
  assert.deepEqual(warnings, [])
})

test('a group that answers twice and differently contradicts itself; different groups do not', async () => {
  const warnings = warningsSeen()
  const asked = await ask({ count: 2 })
  await asked.answer(from('a', '1'), from('a', 'other'))
  await until(() => asked.requester.stats().contradicting === 1)
  await asked.answer(from('b', '2'))
  assert.deepEqual(texts(await asked.gathered), ['1', '2'])
  assert.equal(asked.requester.stats().contradicting, 1)
  assert.match(warnings[0]!.error.message, /two different replies to one request/)
})

test('replies that name no group count each once, alike or not', async () => {
  const warnings = warningsSeen()
  const asked = await ask({ count: 3 })
  await asked.answer(from(undefined, '1'), from(undefined, '1'), from(undefined, '2'))
  const { replies, groups } = await asked.gathered
  assert.deepEqual([texts({ replies }), groups], [['1', '1', '2'], []])
  const { duplicate, contradicting } = asked.requester.stats()
  assert.deepEqual([duplicate, contradicting, warnings], [0, 0, []])
})

test('the reply of a group whose error left its effect open counts, and so does no other second one', async () => {
  const asked = await ask({ count: 2 })
  await asked.answer(errorFrom('a', remoteCodes.handlerTimeout), errorFrom('a', remoteCodes.handlerTimeout))
  await asked.answer(errorFrom('b', 'DECLINED', 'none'), from('b', 'after all'))
  await until(() => asked.requester.stats().contradicting === 1)
  await asked.answer(from('a', '1'), from('a', '1'), from('c', '3'))
  const { replies, errors, groups } = await asked.gathered
  assert.deepEqual([texts({ replies }), errors.length, groups], [['1', '3'], 2, ['a', 'b', 'c']])
  assert.equal(asked.requester.stats().duplicate, 2)
})

test('what comes after the outcome is late with its request, or its group’s second one', async () => {
  const warnings = warningsSeen()
  for (const [options, complete] of [
    [{ count: 2 }, true],
    [{ count: 3, timeout: 50 }, false],
  ] as const) {
    const asked = await ask(options)
    await asked.answer(from('a', '1'), from('b', '2'))
    await until(() => asked.requester.stats().ownRecordsRead === 2)
    await asked.clock.advance(50)
    assert.equal((await asked.gathered).complete, complete)
    await asked.answer(from('c', '3'), from('d', '4'), from('c', '3'), from('a', '1'))
    await until(() => asked.requester.stats().duplicate === 2)
    assert.deepEqual(
      asked.late.map(({ request, reply }) => [request, String(reply?.value)]),
      [
        [value, '3'],
        [value, '4'],
      ],
    )
    const { late, contradicting, foreign, forgotten } = asked.requester.stats()
    assert.deepEqual([late, contradicting, foreign, forgotten], [2, 0, 0, 0])
  }
  assert.deepEqual(warnings, [])
})

test('a record that is read twice counts once', async () => {
  const routing = new StagedRouting()
  const setup = await setUp(() => undefined, { replyRouting: routing })
  const gathered = setup.requester.requestMany(echo, value, { count: 2 })
  await until(() => setup.replier.requests.length === 1)
  const request = setup.replier.requests[0]!
  const correlation = request.headers.find(([name]) => String(name) === 'kafka_correlationId')
  const record: IncomingRecord = {
    topic: 'replies',
    partition: 2,
    offset: 7,
    key: null,
    value,
    headers: [correlation!],
    timestamp: 0,
    size: 40,
  }
  routing.context!.receive([record, record, { ...record, partition: 3 }])
  assert.deepEqual(
    (await gathered).replies.map(({ position }) => position.partition),
    [2, 3],
  )
  assert.equal(setup.requester.stats().duplicate, 1)
})

test('a request is forgotten by what is remembered of its replies, too', async () => {
  const { requester, clock } = await setUp(() => from('a group', 'x'), {
    maxPendingBytes: 6_000,
    remember: 100,
  })
  for (let times = 1; times <= 8; times++) {
    const gathered = requester.requestMany(echo, Buffer.from('x'), { count: 2, timeout: 50 })
    await until(() => requester.stats().recordsRead === times)
    await clock.advance(50)
    assert.equal((await gathered).complete, false)
  }
  // Some 300 bytes of each request, and 1 KiB of each reply.
  assert.ok(requester.stats().forgotten >= 3, `${requester.stats().forgotten} were forgotten`)
})

test('of requests with all their replies as many are remembered as asked for: what is forgotten is foreign', async () => {
  const { requester, replier } = await setUp(() => undefined, { remember: 2 })
  for (let n = 0; n < 3; n++) {
    const gathered = requester.requestMany(echo, Buffer.from('x'), { count: 1 })
    await until(() => replier.requests.length === n + 1)
    await replier.answer(replier.requests[n]!, from('a', '1'))
    await gathered
  }
  for (const request of replier.requests) await replier.answer(request, from('b', '2'))
  await until(() => requester.stats().late + requester.stats().foreign === 3)
  assert.deepEqual([requester.stats().late, requester.stats().foreign], [2, 1])
})
