/** A requester with a journal, in memory: what becomes of the requests of an instance that is gone. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { type Recovered, springProfile, systemClock } from '@milena/request-reply'
import { createMemoryJournal } from '../src/journal/memory-journal.ts'
import { createMemoryBroker } from '../src/transport/memory/broker.ts'
import { finishesWhatADeadInstanceHadAccepted } from './journal-case-contract.ts'
import { other, outcomeOf, world } from './journaling.ts'
import { code, echo, opened, until, warningsSeen } from './requesting.ts'

const told = (recovered: readonly Recovered[]): Record<string, unknown> =>
  Object.fromEntries(
    recovered.map((each) => [
      String(each.request),
      each.reply === undefined ? each.error!.code : String(each.reply.value),
    ]),
  )

test('a journal finishes what a dead instance had accepted, in memory', async () => {
  const broker = createMemoryBroker({
    topics: [
      { name: 'work_request', partitions: 2 },
      { name: 'work_reply', partitions: 3 },
    ],
  })
  const store = createMemoryJournal()
  await finishesWhatADeadInstanceHadAccepted({
    requests: 'work_request',
    replies: 'work_reply',
    store,
    abandon: (instanceId) => store.kill(instanceId),
    connect: async () => {
      const transport = broker.connect()
      return { transport, die: () => transport.kill() }
    },
  })
})

test('replies that come while nobody is there, replies that come later, and none until the deadline', async () => {
  const { far, start, store } = await world((value) => value === 'new')
  const first = await start()
  const lost = ['meanwhile', 'later', 'never', 'long ago'].map((value) =>
    outcomeOf(
      first.requester.request(echo, Buffer.from(value), {
        timeout: value === 'never' ? 600 : value === 'long ago' ? 200 : 60_000,
        key: value,
      }),
    ),
  )
  await until(() => far.requests.length === 4)
  first.kill()
  const request = (value: string): (typeof far.requests)[number] =>
    far.requests.find((each) => String(each.value) === value)!
  await far.answer(request('meanwhile'), { value: Buffer.from('it was') })
  await new Promise((resolve) => setTimeout(resolve, 250))
  const { requester, recovered } = await start()
  await until(() => recovered.length === 2)
  assert.deepEqual(told(recovered), { meanwhile: 'it was', 'long ago': 'MILENA_TIMEOUT' })
  assert.equal(requester.health().journal!.recovering, 2)
  assert.equal(requester.stats().pending, 0, 'they are no requests of this process')
  await far.answer(request('later'), { value: Buffer.from('at last') })
  await until(() => recovered.length === 4)
  const never = recovered.find((each) => String(each.request) === 'never')
  assert.equal(never!.error!.sent, 'unknown')
  assert.equal(never!.error!.effect, 'unknown')
  assert.equal(told(recovered)['later'], 'at last')
  const { recovering, recovered: count } = requester.health().journal!
  assert.deepEqual({ recovering, count }, { recovering: 0, count: 4 })
  assert.deepEqual(store.entries('gw-1'), [])
  await far.answer(request('later'), { value: Buffer.from('at last') })
  await until(() => requester.stats().duplicate === 1)
  assert.equal(recovered.length, 4, 'each once')
  assert.equal(far.requests.length, 4, 'nothing was sent twice')
  assert.equal(lost.length, 4)
})

test('recovered requests are typed by their operation, and say what is known of them', async () => {
  const { far, start } = await world(() => false)
  const first = await start()
  void outcomeOf(first.requester.request(echo, Buffer.from('one'), { timeout: 60_000, key: 'k' }))
  await until(() => far.requests.length === 1)
  first.kill()
  await far.answer(far.requests[0]!, { value: Buffer.from('reply') })
  const { recovered } = await start()
  await until(() => recovered.length === 1)
  const [each] = recovered
  assert.equal(each!.of(other), false)
  assert.ok(each!.of(echo))
  const value: Buffer | undefined = each.reply?.value
  const request: Buffer | undefined = each.request
  assert.deepEqual([String(value), String(request), String(each.key)], ['reply', 'one', 'k'])
  assert.deepEqual([each.late, each.error, each.requestError], [false, undefined, undefined])
  assert.ok(Math.abs(each.deadline - each.acceptedAt - 60_000) < 1_000)
})

test('onRecovered is called again when it fails, and the entry stays until it has not', async () => {
  const warnings = warningsSeen()
  const { far, start, store } = await world(() => false)
  const first = await start()
  void outcomeOf(first.requester.request(echo, Buffer.from('one'), { timeout: 60_000 }))
  await until(() => far.requests.length === 1)
  first.kill()
  await far.answer(far.requests[0]!, { value: Buffer.from('reply') })
  const calls: string[] = []
  const onRecovered = ({ correlationId }: Recovered): void => {
    calls.push(correlationId)
    throw new Error('the database is away')
  }
  const second = await start({}, { onRecovered })
  await until(() => calls.length === 1)
  await until(() => warnings.some(({ error }) => error.message === 'the database is away'))
  assert.equal(store.entries('gw-1').length, 1)
  await until(() => calls.length === 2)
  assert.equal(calls[0], calls[1])
  second.kill()
  const { recovered, requester } = await start()
  await until(() => recovered.length === 1)
  await until(() => requester.health().journal!.recovered === 1)
  assert.deepEqual(store.entries('gw-1'), [])
})

test('close() leaves what is pending in the journal: the next one finishes it', async () => {
  const { far, start, store } = await world(() => false)
  const first = await start()
  const lost = outcomeOf(first.requester.request(echo, Buffer.from('one'), { timeout: 60_000 }))
  await until(() => far.requests.length === 1)
  await first.requester.close()
  assert.equal(await lost, 'MILENA_ABANDONED')
  assert.equal(store.entries('gw-1').length, 1)
  await far.answer(far.requests[0]!, { value: Buffer.from('reply') })
  const { recovered } = await start()
  await until(() => recovered.length === 1)
  assert.deepEqual(told(recovered), { one: 'reply' })
})

test('what was told as unknown is kept for a late reply, if asked for, and then forgotten', async () => {
  const { far, start, store } = await world(() => false)
  const keep = { keepUnknown: 60_000 }
  const first = await start({}, keep)
  assert.equal(
    await outcomeOf(first.requester.request(echo, Buffer.from('one'), { timeout: 50 })),
    'MILENA_TIMEOUT',
  )
  void outcomeOf(first.requester.request(echo, Buffer.from('two'), { timeout: 300 }))
  await until(() => far.requests.length === 2)
  first.kill()
  const second = await start({}, keep)
  await until(() => second.recovered.length === 1)
  assert.deepEqual(told(second.recovered), { two: 'MILENA_TIMEOUT' }, 'the first one was told before')
  await until(() => second.requester.health().journal!.recovered === 1)
  second.kill()
  const third = await start({}, keep)
  assert.equal(third.requester.health().journal!.recovering, 0)
  for (const request of far.requests) await far.answer(request, { value: Buffer.from('late') })
  await until(() => third.recovered.length === 2)
  assert.deepEqual(told(third.recovered), { one: 'late', two: 'late' })
  assert.deepEqual(
    third.recovered.map(({ late }) => late),
    [true, true],
  )
  await until(() => store.entries('gw-1').length === 0)
})

test('a late reply in the same process finishes what was kept for it', async () => {
  const late: string[] = []
  const { far, start, store } = await world(() => false)
  const { requester } = await start(
    { onLateReply: ({ reply }) => void late.push(String(reply!.value)) },
    { keepUnknown: 60_000 },
  )
  assert.equal(
    await outcomeOf(requester.request(echo, Buffer.from('one'), { timeout: 50 })),
    'MILENA_TIMEOUT',
  )
  assert.equal(store.entries('gw-1').length, 1)
  await far.answer(far.requests[0]!, { value: Buffer.from('reply') })
  await until(() => late.length === 1)
  await until(() => store.entries('gw-1').length === 0)
})

test('beforeFinish: an outcome is finished only when the application is done with it', async () => {
  const { far, start, store } = await world((value) => value !== 'two')
  const gate = Promise.withResolvers<void>()
  const seen: Recovered[] = []
  const beforeFinish = async (outcome: Recovered): Promise<void> => {
    seen.push(outcome)
    if (seen.length === 1) throw new Error('the database is away')
    await gate.promise
  }
  const warnings = warningsSeen()
  const first = await start({ maxPending: 2 }, { beforeFinish })
  assert.equal(await outcomeOf(first.requester.request(echo, Buffer.from('one'))), 'one')
  await until(() => warnings.length === 1)
  await assert.rejects(
    first.requester.request(echo, Buffer.from('two'), { timeout: 30 }),
    code('MILENA_TIMEOUT'),
  )
  await until(() => seen.length === 3)
  assert.equal(first.requester.health().journal!.finishing, 2)
  await assert.rejects(first.requester.request(echo, Buffer.from('three')), code('MILENA_OVERLOADED'))
  assert.deepEqual(told(seen.slice(1)), { one: 'one', two: 'MILENA_TIMEOUT' })
  assert.equal(store.entries('gw-1').length, 2)
  first.kill()
  const second = await start({}, { beforeFinish: () => undefined })
  await until(() => second.recovered.length === 2)
  assert.deepEqual(told(second.recovered), { one: 'one', two: 'MILENA_TIMEOUT' })
  assert.equal(await outcomeOf(second.requester.request(echo, Buffer.from('four'))), 'four')
  await until(() => store.entries('gw-1').length === 0)
  assert.equal(far.requests.length, 3)
  gate.resolve()
})

const idOf = (n: number): Buffer => Buffer.from(n.toString(16).padStart(32, '0'), 'hex')

test('20 000 are recovered beside new requests, and take nothing of their bound', async () => {
  const count = 20_000
  const { start, store, broker } = await world()
  const journal = await store.open({
    instanceId: 'gw-1',
    takeOver: 'refuse',
    clock: systemClock,
    random: randomBytes,
    onTaken: () => undefined,
    warn: () => undefined,
  })
  const acceptedAt = systemClock.now()
  for (let n = 0; n < count; n++) {
    await journal.append({
      correlationId: idOf(n),
      operation: echo.name,
      topic: echo.topic,
      key: null,
      value: Buffer.from(`${n}`),
      headers: [],
      timeout: 60_000,
      acceptedAt,
      deadline: acceptedAt + (n % 2 === 0 ? 60_000 : 0),
      repliesFrom: [{ topic: 'replies', partition: 2, offset: n }],
    })
  }
  await journal.close()
  const far = broker.connect()
  opened.push(far)
  const answer = (n: number): Promise<unknown> => {
    const headers = [springProfile.correlationHeader(idOf(n))]
    return far.send({ topic: 'replies', partition: 2, key: null, value: Buffer.from(`${n}`), headers })
  }
  const all = Array.from({ length: count }, (_, n) => n)
  await Promise.all(
    all
      .slice(0, count / 2)
      .filter((n) => n % 2 === 0)
      .map(answer),
  )
  const seen = new Map<string, string | undefined>()
  const second = await start(
    { maxPending: 1 },
    {
      onRecovered({ correlationId, reply }) {
        assert.ok(!seen.has(correlationId), 'twice')
        seen.set(correlationId, reply && String(reply.value))
      },
    },
  )
  assert.equal(await outcomeOf(second.requester.request(echo, Buffer.from('new'))), 'new')
  await Promise.all(
    all
      .slice(count / 2)
      .filter((n) => n % 2 === 0)
      .map(answer),
  )
  await until(() => second.requester.health().journal!.recovering === 0)
  assert.equal(seen.size, count)
  for (const n of all) assert.equal(seen.get(idOf(n).toString('hex')), n % 2 === 0 ? String(n) : undefined)
  await until(() => store.entries('gw-1').length === 0)
})

test('replies beyond what may be held stay in the journal, for the next start', async () => {
  const warnings = warningsSeen()
  const { far, start, store } = await world(() => false)
  const first = await start()
  for (let n = 0; n < 20; n++)
    void outcomeOf(first.requester.request(echo, Buffer.from(`${n}`), { timeout: 60_000 }))
  await until(() => far.requests.length === 20)
  first.kill()
  for (const request of far.requests) await far.answer(request, { value: Buffer.alloc(1_000) })
  const gate = Promise.withResolvers<void>()
  const second = await start({ maxPendingBytes: 5_000 }, { onRecovered: () => gate.promise })
  await until(() => second.requester.health().journal!.left > 0)
  const { left } = second.requester.health().journal!
  assert.ok(warnings.some(({ error }) => /stays in the journal/.test(error.message)))
  gate.resolve()
  await until(() => second.requester.health().journal!.recovered === 20 - left)
  assert.equal(store.entries('gw-1').length, left)
  second.kill()
  const { recovered } = await start()
  await until(() => recovered.length === left)
})
