/** One request, several replies: what they take in memory. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gatheredIn } from '../src/requester/gathered.ts'
import { Gathering, kept } from '../src/requester/gathering.ts'
import type { IncomingRecord } from '../src/transport/transport.ts'
import type { RawHeader } from '../src/wire/headers.ts'
import { ask, assertLetGo, errorFrom, from, texts, value } from './gathering.ts'
import { code, echo, setUp, StagedRouting, until } from './requesting.ts'

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
