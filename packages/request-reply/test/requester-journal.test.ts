/** A requester with a journal, in memory: what is written down before it is sent, and whose the journal is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { other, outcomeOf, world } from './journaling.ts'
import { code, echo, StagedRouting, until, warningsSeen } from './requesting.ts'

test('nothing is sent before it is written, in the order of its key; what is answered is finished', async () => {
  const { store, far, start } = await world()
  const gate = Promise.withResolvers<void>()
  store.onAppend = () => gate.promise
  const { requester } = await start()
  const replies = ['one', 'two', 'three'].map((value) =>
    outcomeOf(requester.request(echo, Buffer.from(value), { key: 'k' })),
  )
  await until(() => requester.health().journal!.writing === 3)
  const passedBy = await requester.request(other, Buffer.from('not written'))
  assert.equal(String(passedBy.value), 'not written', 'an operation that the journal does not have')
  assert.equal(far.requests.length, 1)
  gate.resolve()
  assert.deepEqual(await Promise.all(replies), ['one', 'two', 'three'])
  assert.deepEqual(
    far.requests.slice(1).map(({ value }) => String(value)),
    ['one', 'two', 'three'],
  )
  assert.deepEqual(store.entries('gw-1'), [])
})

test('what cannot be written is not sent, and says so; health() does while it lasts', async () => {
  const { store, far, start } = await world()
  store.onAppend = () => Promise.reject(new Error('no space left on device'))
  const { requester } = await start()
  await assert.rejects(
    requester.request(echo, Buffer.from('one')),
    code('MILENA_JOURNAL_FAILED', { sent: 'no', effect: 'none', outcomeKnown: true, retryable: true }),
  )
  const { trouble } = requester.health().journal!
  assert.match(trouble!.error.message, /no space left/)
  assert.equal(requester.stats().failed, 1)
  assert.equal(far.requests.length, 0)
  store.onAppend = undefined
  assert.equal(await outcomeOf(requester.request(echo, Buffer.from('two'))), 'two')
  assert.equal(requester.health().journal!.trouble, undefined)
})

test('what is given up while it is being written is not sent, counts until then, and is finished', async () => {
  const { store, far, start } = await world()
  const gate = Promise.withResolvers<void>()
  store.onAppend = () => gate.promise
  const { requester } = await start({ maxPending: 2 })
  const abort = new AbortController()
  const timedOut = requester.request(echo, Buffer.from('one'), { timeout: 250 })
  const cancelled = requester.request(echo, Buffer.from('two'), { signal: abort.signal })
  await until(() => requester.stats().pending === 2)
  abort.abort()
  await assert.rejects(cancelled, code('MILENA_CANCELLED', { sent: 'no', effect: 'none' }))
  await assert.rejects(timedOut, code('MILENA_NOT_SENT', { sent: 'no' }))
  await assert.rejects(requester.request(echo, Buffer.from('three')), code('MILENA_OVERLOADED'))
  gate.resolve()
  await until(() => requester.health().journal!.writing === 0)
  store.onAppend = undefined
  assert.equal(await outcomeOf(requester.request(echo, Buffer.from('four'))), 'four')
  assert.deepEqual(
    far.requests.map(({ value }) => String(value)),
    ['four'],
  )
  assert.deepEqual(store.entries('gw-1'), [])
})

test('a second process under the same instance id does not start', async () => {
  const { start } = await world()
  const first = await start()
  await assert.rejects(start(), code('MILENA_JOURNAL_TAKEN', { sent: 'no', retryable: false }))
  assert.equal(await outcomeOf(first.requester.request(echo, Buffer.from('one'))), 'one')
})

test('a process whose journal is taken accepts and sends nothing any more', async () => {
  const warnings = warningsSeen()
  const { far, start } = await world((value) => value === 'new')
  const first = await start()
  const lost = first.requester.request(echo, Buffer.from('one'), { timeout: 60_000 })
  await until(() => far.requests.length === 1)
  const ended = assert.rejects(lost, code('MILENA_ABANDONED', { effect: 'unknown' }))
  const second = await start({}, { takeOver: 'fence' })
  await ended
  assert.equal(first.requester.health().receiving, false)
  assert.equal(first.requester.health().journal!.taken!.code, 'MILENA_JOURNAL_TAKEN')
  for (const operation of [echo, other])
    await assert.rejects(
      first.requester.request(operation, Buffer.from('two')),
      code('MILENA_JOURNAL_TAKEN', { sent: 'no' }),
    )
  assert.equal(warnings.length, 1)
  await far.answer(far.requests[0]!, { value: Buffer.from('reply') })
  await until(() => second.recovered.length === 1)
  assert.equal(await outcomeOf(second.requester.request(echo, Buffer.from('new'))), 'new')
  assert.equal(far.requests.length, 2)
})

test('an iteration ends when the journal is taken, though its source stands still', async () => {
  warningsSeen()
  const { start } = await world()
  const first = await start()
  const still = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) }
  const next = first.requester.requestEach(echo, still).next()
  const ended = assert.rejects(next, code('MILENA_JOURNAL_TAKEN'))
  await start({}, { takeOver: 'fence' })
  await ended
})

test('a journal needs an instance id, operations, and a routing that knows its positions', async () => {
  const { start } = await world()
  await assert.rejects(
    start({ instanceId: undefined, resumeFrom: [] } as never, { operations: [], takeOver: 'ask' as never }),
    (error: Error) => {
      for (const problem of [/needs an instanceId/, /resumeFrom cannot/, /journal\.operations/, /takeOver/])
        assert.match(error.message, problem)
      return true
    },
  )
  const transport = start({ replyRouting: new StagedRouting() })
  await assert.rejects(transport, /staged cannot say from where replies can appear/)
  await start() // and what was opened for it is let go of
})

test('requestMany of an operation in the journal is refused, and not sent without it', async () => {
  const { start, far } = await world()
  const { requester } = await start()
  await assert.rejects(
    requester.requestMany(echo, Buffer.from('x'), { count: 1 }),
    (error) =>
      code('MILENA_OPTIONS_INVALID')(error) &&
      /the journal keeps one outcome for each request.*requestMany needs a requester without it/.test(
        String(error),
      ),
  )
  assert.equal(far.requests.length, 0)
  const { replies } = await requester.requestMany(other, Buffer.from('x'), { count: 1 })
  assert.equal(replies.length, 1)
})
