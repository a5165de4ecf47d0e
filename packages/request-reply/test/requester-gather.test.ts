/** One request, several replies. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { json } from '../src/contract/payload.ts'
import type { RequestEndedStep } from '../src/diagnostics.ts'
import { MilenaError, RemoteError, remoteCodes } from '../src/errors.ts'
import { gatheredIn, type Gathered } from '../src/requester/gathered.ts'
import { Gathering, kept } from '../src/requester/gathering.ts'
import type { ReplyRouting } from '../src/routing/routing.ts'
import type { IncomingRecord } from '../src/transport/transport.ts'
import type { RawHeader } from '../src/wire/headers.ts'
import { errorHeaders, groupHeader, wantsManyReplies } from '../src/wire/milena.ts'
import type { Answer } from '../src/testing/answering.ts'
import {
  assertAccounted,
  code,
  echo,
  seenOn,
  setUp,
  StagedRouting,
  until,
  warningsSeen,
  type Setup,
} from './requesting.ts'

const value = Buffer.from('x')

/** A reply of a consumer group of Milena's; of none, one of Spring's. */
function from(group: string | undefined, text: string): Answer {
  return { value: Buffer.from(text), headers: group === undefined ? [] : [groupHeader(group)!] }
}

function errorFrom(group: string | undefined, name: string, effect?: 'none' | 'done'): Answer {
  const headers: RawHeader[] = errorHeaders({ code: name, message: 'no', effect })
  if (group !== undefined) headers.push(groupHeader(group)!)
  return { value: null, headers }
}

interface Asked extends Setup {
  readonly gathered: Promise<Gathered<Buffer>>
  readonly request: IncomingRecord
  readonly ended: RequestEndedStep[]
  answer(...answers: Answer[]): Promise<void>
}

/** A request that nobody has answered yet. */
async function ask(
  options: Parameters<Setup['requester']['requestMany']>[2] & object,
  given: Parameters<typeof setUp>[1] = {},
): Promise<Asked> {
  const ended = seenOn<RequestEndedStep>('milena:request:ended')
  const setup = await setUp(() => undefined, given)
  const gathered = setup.requester.requestMany(echo, value, options)
  gathered.catch(() => undefined)
  await until(() => setup.replier.requests.length === 1)
  const request = setup.replier.requests[0]!
  return {
    ...setup,
    gathered,
    request,
    ended,
    async answer(...answers) {
      for (const each of answers) await setup.replier.answer(request, each)
    },
  }
}

const texts = ({ replies }: { readonly replies: readonly { readonly value: unknown }[] }): string[] =>
  replies.map((reply) => String(reply.value))

/** What is in flight counts against nothing any more. */
function assertLetGo({ requester }: Setup): void {
  const { pending, pendingBytes, sending } = requester.stats()
  assert.deepEqual([pending, pendingBytes, sending], [0, 0, 0])
  assertAccounted(requester)
}

test('count: so many replies, in the order in which they came, are one outcome', async () => {
  const asked = await ask({ count: 3 })
  await asked.answer(from('a', '1'), from('b', '2'), from('c', '3'))
  const { complete, replies, errors, groups, correlationId, request, duration } = await asked.gathered
  assert.deepEqual([complete, errors, groups, duration], [true, [], ['a', 'b', 'c'], 0])
  assert.deepEqual(texts({ replies }), ['1', '2', '3'])
  assert.deepEqual(new Set(replies.map((reply) => reply.correlationId)), new Set([correlationId]))
  assert.equal(request?.topic, 'requests')
  assert.equal(replies[0]!.headers.text('milena-group'), 'a')
  const { accepted, replied, partial, roundTrip } = asked.requester.stats()
  assert.deepEqual([accepted, replied, partial, roundTrip.count], [1, 1, 0, 3])
  assert.deepEqual(
    asked.ended.map(({ outcome, error }) => [outcome, error]),
    [['replied', undefined]],
  )
  assertLetGo(asked)
})

test('only a request that wants several says so', async () => {
  const { requester, replier } = await setUp()
  await requester.request(echo, value)
  await requester.requestMany(echo, value, { count: 1, headers: { tenant: 't' } })
  assert.deepEqual(
    replier.requests.map(({ headers }) => wantsManyReplies(headers)),
    [false, true],
  )
})

test('until: the release predicate is asked after each reply and each error, and ends the wait', async () => {
  const calls: [string[], number][] = []
  const asked = await ask({
    until: (replies: readonly { readonly value: unknown }[], errors: readonly MilenaError[]) => {
      calls.push([texts({ replies }), errors.length])
      return replies.length + errors.length === 3
    },
  })
  await asked.answer(from('a', '1'), errorFrom('b', 'DECLINED', 'none'), from('c', '3'))
  const { complete, replies, errors, groups } = await asked.gathered
  assert.deepEqual(calls, [
    [['1'], 0],
    [['1'], 1],
    [['1', '3'], 1],
  ])
  assert.deepEqual([complete, texts({ replies }), groups], [true, ['1', '3'], ['a', 'b', 'c']])
  assert.ok(errors[0] instanceof RemoteError && errors[0].remoteCode === 'DECLINED')
})

test('until may be content with errors alone', async () => {
  const asked = await ask({ until: (_: unknown, errors: readonly MilenaError[]) => errors.length === 1 })
  await asked.answer(errorFrom('a', 'DECLINED', 'none'))
  const { complete, replies, errors } = await asked.gathered
  assert.deepEqual([complete, replies, errors.length], [true, [], 1])
})

test('the timeout with one reply at least is a partial outcome, of its own kind', async () => {
  const asked = await ask({ count: 3, timeout: 50 })
  await asked.answer(from('a', '1'), errorFrom('b', 'DECLINED', 'none'))
  await until(() => asked.requester.stats().ownRecordsRead === 2)
  await asked.clock.advance(50)
  const { complete, replies, errors, groups, duration } = await asked.gathered
  assert.deepEqual([complete, texts({ replies }), errors.length], [false, ['1'], 1])
  assert.deepEqual([groups, duration], [['a', 'b'], 50])
  const { partial, replied, timedOut, operations } = asked.requester.stats()
  assert.deepEqual([partial, replied, timedOut, operations['echo']!.partial], [1, 0, 0, 1])
  assert.deepEqual(
    asked.ended.map(({ outcome, error }) => [outcome, error]),
    [['partial', undefined]],
  )
  assertLetGo(asked)
})

test('the timeout without a reply is a TimeoutError, which has the errors that came', async () => {
  const asked = await ask({ count: 2, timeout: 50 })
  await asked.answer(errorFrom('a', 'DECLINED', 'none'), errorFrom('b', 'DECLINED', 'none'))
  await until(() => asked.requester.stats().ownRecordsRead === 2)
  await asked.clock.advance(50)
  const error: unknown = await asked.gathered.catch((thrown: unknown) => thrown)
  code('MILENA_TIMEOUT', { sent: 'yes', effect: 'unknown' })(error)
  const had = gatheredIn(error, echo)!
  assert.deepEqual([had.complete, had.replies, had.groups], [false, [], ['a', 'b']])
  assert.deepEqual(
    had.errors.map((each) => each instanceof RemoteError && each.remoteCode),
    ['DECLINED', 'DECLINED'],
  )
  assert.deepEqual([asked.requester.stats().timedOut, asked.requester.stats().partial], [1, 0])
  assertLetGo(asked)
})

test('errors count towards nothing: replies that come after them do', async () => {
  const asked = await ask({ count: 2 })
  await asked.answer(errorFrom('a', 'DECLINED', 'none'), errorFrom('b', 'DECLINED', 'none'))
  await asked.answer(from('c', '3'), from('d', '4'))
  const { complete, replies, errors } = await asked.gathered
  assert.deepEqual([complete, texts({ replies }), errors.length], [true, ['3', '4'], 2])
})

test('a reply that cannot be read is among the errors, and the others count', async () => {
  const numbers = defineOperation({
    name: 'numbers',
    topic: 'requests',
    request: json<1>(),
    reply: json<number>(),
  })
  const { requester } = await setUp(() => undefined)
  const setup = await setUp(() => undefined)
  const gathered = setup.requester.requestMany(numbers, 1, { count: 1 })
  await until(() => setup.replier.requests.length === 1)
  for (const text of ['{', '2']) await setup.replier.answer(setup.replier.requests[0]!, from(text, text))
  const { replies, errors } = await gathered
  assert.deepEqual([replies[0]!.value, errors.map((error) => error.code)], [2, ['MILENA_CODEC_FAILED']])
  assertAccounted(requester)
})

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

test('an abort loses nothing that had come', async () => {
  const abort = new AbortController()
  const asked = await ask({ count: 3, signal: abort.signal })
  await asked.answer(from('a', '1'), errorFrom('b', 'DECLINED', 'none'))
  await until(() => asked.requester.stats().ownRecordsRead === 2)
  abort.abort(new Error('enough'))
  const error: unknown = await asked.gathered.catch((thrown: unknown) => thrown)
  code('MILENA_CANCELLED', { sent: 'yes' })(error)
  const had = gatheredIn(error, echo)!
  assert.deepEqual([had.complete, texts(had), had.errors.length], [false, ['1'], 1])
  assert.equal(gatheredIn(error, { ...echo, name: 'another' }), undefined)
  assert.equal(asked.requester.stats().cancelled, 1)
  await asked.answer(from('c', '3'))
  await until(() => asked.late.length === 1)
  assertLetGo(asked)
})

test('closing the requester loses nothing that had come', async () => {
  const asked = await ask({ count: 3 })
  await asked.answer(from('a', '1'))
  await until(() => asked.requester.stats().ownRecordsRead === 1)
  await asked.requester.close()
  const error: unknown = await asked.gathered.catch((thrown: unknown) => thrown)
  code('MILENA_ABANDONED')(error)
  assert.deepEqual(texts(gatheredIn(error, echo)!), ['1'])
  assertLetGo(asked)
})

test('an until that throws, or says neither true nor false, is a clear error, and loses nothing that had come', async () => {
  const failures: [() => unknown, RegExp][] = [
    [
      () => {
        throw new RangeError('no such shop')
      },
      /its until, the release predicate, failed: .*no such shop/,
    ],
    [() => Promise.resolve(true), /must return true or false, not a promise/],
    [() => undefined, /must return true or false, not undefined/],
  ]
  for (const [predicate, message] of failures) {
    const asked = await ask({ until: predicate as () => boolean })
    await asked.answer(from('a', '1'))
    const error: unknown = await asked.gathered.catch((thrown: unknown) => thrown)
    code('MILENA_UNTIL_FAILED', { sent: 'yes', effect: 'unknown' })(error)
    assert.match((error as Error).message, message)
    assert.deepEqual(texts(gatheredIn(error, echo)!), ['1'])
    assert.equal(asked.requester.stats().failed, 1)
    await asked.answer(from('b', '2'))
    await until(() => asked.late.length === 1)
    assertLetGo(asked)
  }
})

test('an until that aborts its own request has one outcome all the same', async () => {
  const abort = new AbortController()
  const asked = await ask({
    signal: abort.signal,
    until: () => {
      abort.abort()
      return true
    },
  })
  await asked.answer(from('a', '1'))
  const error: unknown = await asked.gathered.catch((thrown: unknown) => thrown)
  code('MILENA_CANCELLED')(error)
  assert.deepEqual(texts(gatheredIn(error, echo)!), ['1'])
  assert.equal(asked.ended.length, 1)
  assertLetGo(asked)
})

test('more than maxReplies, of replies and errors, end an until that is never content; the one too many is late', async () => {
  const asked = await ask({ until: () => false, maxReplies: 3 })
  await asked.answer(from('a', '1'), errorFrom('b', 'DECLINED', 'none'), from('c', '3'))
  await until(() => asked.requester.stats().ownRecordsRead === 3)
  assert.equal(asked.requester.stats().pending, 1)
  await asked.answer(from('d', '4'))
  const error: unknown = await asked.gathered.catch((thrown: unknown) => thrown)
  code('MILENA_TOO_MANY_REPLIES', { sent: 'yes' })(error)
  assert.match((error as Error).message, /more than 3 replies and errors \(maxReplies\)/)
  const had = gatheredIn(error, echo)!
  assert.deepEqual([texts(had), had.errors.length], [['1', '3'], 1])
  await until(() => asked.late.length === 1)
  assert.equal(String(asked.late[0]!.reply?.value), '4')
  assertLetGo(asked)
})

test('by default a thousand replies are gathered, and not one more', async () => {
  const asked = await ask({ until: () => false })
  for (let i = 0; i < 1_000; i++) await asked.answer(from(`group ${i}`, String(i)))
  await until(() => asked.requester.stats().ownRecordsRead === 1_000)
  assert.equal(asked.requester.stats().pending, 1)
  await asked.answer(from('one more', 'x'))
  const error: unknown = await asked.gathered.catch((thrown: unknown) => thrown)
  code('MILENA_TOO_MANY_REPLIES')(error)
  assert.equal(gatheredIn(error, echo)!.replies.length, 1_000)
})

test('what has been gathered counts against maxPendingBytes, and is let go of with the outcome', async () => {
  const asked = await ask({ until: () => false }, { maxPendingBytes: 20_000 })
  const before = asked.requester.stats().pendingBytes
  const large = 'x'.repeat(8_000)
  await asked.answer(from('a', large))
  await until(() => asked.requester.stats().ownRecordsRead === 1)
  const { pendingBytes } = asked.requester.stats()
  assert.ok(pendingBytes >= before + 8_000, `${pendingBytes} bytes`)
  // What is gathered takes the room of other requests.
  await assert.rejects(asked.requester.request(echo, Buffer.alloc(15_000)), code('MILENA_OVERLOADED'))
  await asked.answer(from('b', large), from('c', large))
  const error: unknown = await asked.gathered.catch((thrown: unknown) => thrown)
  code('MILENA_TOO_MANY_REPLIES')(error)
  assert.match((error as Error).message, /more than 20000 bytes \(maxPendingBytes\)/)
  assert.equal(gatheredIn(error, echo)!.replies.length, 2)
  await until(() => asked.late.length === 1)
  assertLetGo(asked)
  // The room is free again.
  const next = asked.requester.request(echo, Buffer.alloc(15_000))
  await until(() => asked.replier.requests.length === 2)
  await asked.replier.answer(asked.replier.requests[1]!, { value })
  await next
})

test('replies that are gathered stand in memory of their own', () => {
  const batch = Buffer.from('namekeyvaluecontent')
  const [name, key, content, text] = [
    [0, 4],
    [4, 7],
    [7, 12],
    [12, 19],
  ].map(([start, end]) => batch.subarray(start, end)) as [Buffer, Buffer, Buffer, Buffer]
  const place = { topic: 't', partition: 0, offset: 1, timestamp: 2 }
  const headers: RawHeader[] = [
    [name, text],
    [name, null],
  ]
  const record: IncomingRecord = { ...place, key, value: content, headers, size: 23 }
  const copy = kept(record)
  batch.fill(0x2e)
  assert.deepEqual([String(copy.key), String(copy.value)], ['key', 'value'])
  assert.deepEqual(
    copy.headers.map(([one, other]) => [String(one), other && String(other)]),
    [
      ['name', 'content'],
      ['name', null],
    ],
  )
  assert.equal(copy.value!.buffer, copy.key!.buffer)
  assert.equal(copy.value!.buffer.byteLength, 23)
  assert.deepEqual(kept({ ...record, key: null, value: null, headers: [] }).value, null)
})

test('with a codec that takes its time replies are gathered in the order in which they came, and none is lost', async () => {
  const waits: (() => void)[] = []
  const slow = defineOperation({
    name: 'slow',
    topic: 'requests',
    request: json<1>(),
    reply: {
      codec: 'slow',
      schema: undefined,
      encode: (given: string) => Buffer.from(given),
      decode: (given: Buffer | null) =>
        new Promise<string>((resolve) => waits.push(() => resolve(String(given)))),
    },
  })
  const { requester, replier, late, clock } = await setUp(() => undefined)
  const gathered = requester.requestMany(slow, 1, { count: 2 })
  await until(() => replier.requests.length === 1)
  for (const name of ['a', 'b', 'c']) await replier.answer(replier.requests[0]!, from(name, name))
  await replier.answer(replier.requests[0]!, from('b', 'b'))
  await until(() => waits.length === 3 && requester.stats().duplicate === 1)
  for (const go of waits.toReversed()) go()
  const { replies, complete } = await gathered
  assert.deepEqual([replies.map((reply) => reply.value), complete], [['a', 'b'], true])
  await until(() => late.length === 1)
  assert.equal(late[0]!.reply?.value, 'c')

  const some = requester.requestMany(slow, 1, { count: 3, timeout: 50 })
  await until(() => replier.requests.length === 2)
  waits.splice(0)
  for (const name of ['a', 'b']) await replier.answer(replier.requests[1]!, from(name, name))
  await until(() => waits.length === 2)
  waits[0]!()
  await clock.advance(50)
  const { replies: read, complete: all } = await some
  assert.deepEqual([read.map((reply) => reply.value), all], [['a'], false])
  // What was still being read, and what comes now, is late.
  waits[1]!()
  await replier.answer(replier.requests[1]!, from('c', 'c'))
  await until(() => waits.length === 3)
  waits[2]!()
  await until(() => late.length === 3)
  assert.deepEqual(
    late.map(({ reply }) => reply?.value),
    ['c', 'b', 'c'],
  )
  const { contradicting, duplicate } = requester.stats()
  assert.deepEqual([contradicting, duplicate], [0, 1])
  assertAccounted(requester)
})

test('options that cannot work are refused before anything is sent', async () => {
  const { requester, replier } = await setUp()
  const cases: [unknown, RegExp][] = [
    [undefined, /needs options with count or until/],
    [{}, /either count or until/],
    [{ count: 1, until: () => true }, /either count or until/],
    [{ count: 0 }, /count must be a whole number from 1 to 1000 \(maxReplies\), not 0/],
    [{ count: 4, maxReplies: 3 }, /count must be a whole number from 1 to 3/],
    [{ count: 1.5 }, /not 1.5/],
    [{ until: 3 }, /until must be a function/],
    [{ count: 1, maxReplies: 0 }, /maxReplies must be a whole number from 1, not 0/],
    [{ count: 1, counts: 2 }, /there is no option counts/],
  ]
  for (const [options, message] of cases) {
    const outcome = requester.requestMany(echo, value, options as { readonly count: number })
    await assert.rejects(
      outcome,
      (error) => code('MILENA_OPTIONS_INVALID')(error) && message.test(String(error)),
    )
  }
  await assert.rejects(
    requester.requestMany(undefined as unknown as typeof echo, value, { count: 1 }),
    code('MILENA_OPTIONS_INVALID'),
  )
  assert.deepEqual([requester.stats().rejected, requester.stats().accepted], [cases.length + 1, 0])
  assert.equal(replier.requests.length, 0)
})

test('an error of any other request has gathered nothing', async () => {
  const { requester, clock } = await setUp(() => undefined)
  const outcome = requester.request(echo, value, { timeout: 50 }).catch((thrown: unknown) => thrown)
  await until(() => requester.stats().accepted === 1)
  await clock.advance(50)
  assert.equal(gatheredIn(await outcome, echo), undefined)
  assert.equal(gatheredIn(new Error('x'), echo), undefined)
  assert.equal(gatheredIn(undefined, echo), undefined)
})

test('a routing that keeps one reply for each request refuses requestMany, and says so', async () => {
  const routing = new StagedRouting()
  const oneEach: ReplyRouting = {
    name: 'one each',
    open: async (context) => ({ ...(await routing.open(context)), oneReplyEach: true }),
  }
  const { requester, replier } = await setUp(undefined, { replyRouting: oneEach })
  await assert.rejects(
    requester.requestMany(echo, value, { count: 1 }),
    (error) =>
      code('MILENA_OPTIONS_INVALID')(error) &&
      /reply routing one each keeps one reply for each request: requestMany needs one that reads a log/.test(
        String(error),
      ),
  )
  assert.equal(replier.requests.length, 0)
  assert.deepEqual((await requester.request(echo, value)).value, value)
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

test('what comes without end after the outcome takes no more memory than that of a thousand', () => {
  const gathering = new Gathering({ count: 1, until: undefined, maxReplies: 1 })
  for (let offset = 0; offset < 3_000; offset++) {
    const record = {
      topic: 'replies',
      partition: 0,
      offset,
      key: null,
      value,
      headers: [],
      timestamp: 0,
      size: 1,
    }
    assert.equal(gathering.meet(record, 1, false), undefined)
  }
  assert.equal(gathering.rememberedBytes, 1_001 * 1_024)
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

test('a gathered reply is not changed by what becomes of the memory that it was read into', async () => {
  const routing = new StagedRouting()
  const { requester, replier } = await setUp(() => undefined, { replyRouting: routing })
  const gathered = requester.requestMany(echo, value, { count: 2 })
  await until(() => replier.requests.length === 1)
  const correlation = replier.requests[0]!.headers.find(([name]) => String(name) === 'kafka_correlationId')!
  for (const [offset, text] of ['one', 'two'].entries()) {
    const read = Buffer.from(text)
    const at = { topic: 'replies', partition: 2, offset, key: null, timestamp: 0, size: 200 }
    const headers: RawHeader[] = [[Buffer.from('said'), read], correlation]
    routing.context!.receive([{ ...at, value, headers }])
    read.fill(0)
  }
  const said = (await gathered).replies.map((reply) => reply.headers.text('said'))
  assert.deepEqual(said, ['one', 'two'])
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
