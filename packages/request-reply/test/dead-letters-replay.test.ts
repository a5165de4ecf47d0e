/** Dead letters for operators, on a broker in memory: replayed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deadLetters } from '../src/dead-letters/browser.ts'
import { deadLetter } from '../src/dead-letters/dead-letter.ts'
import { effectIn } from '../src/dead-letters/effect-in.ts'
import type { Replay } from '../src/dead-letters/replay.ts'
import { idempotency } from '../src/idempotency/idempotency.ts'
import { memoryIdempotencyStore } from '../src/idempotency/memory-store.ts'
import { TransportError } from '../src/errors.ts'
import type { RecordPosition, Tail } from '../src/transport/transport.ts'
import { textHeader } from '../src/wire/dead-letter.ts'
import { lastHeader, type RawHeader } from '../src/wire/headers.ts'
import { deadlineHeader, operationHeader, timeoutHeader } from '../src/wire/milena.ts'
import { springProfile } from '../src/wire/spring.ts'
import { until } from './asking.ts'
import { all, name, origin, ours, sit } from './letter-desk.ts'
import { echo } from './replying.ts'
import { altered } from './requesting.ts'

const verdicts = (replays: readonly Replay[]): string[] => replays.map(({ verdict }) => verdict)

const mark = ({ partition, offset }: RecordPosition): RawHeader =>
  textHeader(name('milena-replay-of'), `shop_request-dlt/${partition}/${offset}`)

test('a replay is a dry run until told otherwise, and nothing is replayed twice by accident', async (t) => {
  const { letters, open, write, requests } = await sit(t)
  const place = await write('a', ours('MILENA_HANDLER_FAILED'), 'k')
  const dry = await all(letters.replay({ topic: 'shop_request' }))
  assert.deepEqual([verdicts(dry), dry[0]?.dryRun, dry[0]?.to], [['replayed'], true, undefined])
  assert.deepEqual(requests(), [])
  const [done] = await all(letters.replay(place, { dryRun: false, by: 'kim' }))
  assert.deepEqual(
    [done?.verdict, done?.to],
    ['replayed', { topic: 'shop_request', partition: 0, offset: 0 }],
  )
  // Whoever it is.
  const other = open()
  const again = await all(other.replay({ topic: 'shop_request' }, { dryRun: false }))
  assert.deepEqual(verdicts(again), ['already-replayed'])
  assert.match(again[0]!.detail, /^replayed by "kim" at /)
  assert.equal(requests().length, 1)
  const [listed] = await all(other.list({ topic: 'shop_request' }))
  assert.deepEqual(
    listed?.replays.map(({ state, by, to }) => ({ state, by, to })),
    [{ state: 'replayed', by: 'kim', to: { topic: 'shop_request', partition: 0, offset: 0 } }],
  )
  assert.deepEqual(verdicts(await all(other.replay(place, { dryRun: false, again: true }))), ['replayed'])
  assert.equal(requests().length, 2)
  assert.deepEqual(
    (await other.show(place))?.replays.map(({ state }) => state),
    ['replayed', 'replayed'],
  )
})

test('of two who replay at once one does', async (t) => {
  const { open, write, requests } = await sit(t)
  for (let i = 0; i < 20; i++) await write(String(i))
  const both = await Promise.all(
    [open(), open()].map((letters) => all(letters.replay({ topic: 'shop_request' }, { dryRun: false }))),
  )
  assert.deepEqual(
    requests()
      .map(({ value }) => String(value))
      .toSorted(),
    Array.from({ length: 20 }, (_, i) => String(i)).toSorted(),
  )
  for (let i = 0; i < 20; i++)
    assert.deepEqual(both.map((replays) => replays[i]!.verdict).toSorted(), ['already-replayed', 'replayed'])
})

test('whoever is gone after he began may have sent it; what was certainly not sent may be sent again', async (t) => {
  const { broker, letters, open, write, requests } = await sit(t)
  const place = await write('a')
  let fate: 'not-sent' | 'unknown' = 'not-sent'
  broker.faults = { send: ({ topic }) => (topic === 'shop_request' ? { fate } : undefined) }
  assert.deepEqual(verdicts(await all(letters.replay(place, { dryRun: false }))), ['failed'])
  assert.deepEqual(verdicts(await all(letters.replay(place))), ['replayed'])
  fate = 'unknown'
  assert.deepEqual(verdicts(await all(letters.replay(place, { dryRun: false }))), ['unknown'])
  broker.faults = {}
  const [known] = await all(open().replay(place, { dryRun: false }))
  assert.equal(known?.verdict, 'already-replayed')
  assert.match(known.detail, /^a replay began at .* and may have been sent$/)
  assert.deepEqual(requests(), [])
})

test('where a replay cannot be recorded nothing is sent', async (t) => {
  const { letters, open, write, requests, broker } = await sit(t)
  const place = await write('a')
  await assert.rejects(all(open({ createTopics: false }).replay(place, { dryRun: false })), {
    code: 'MILENA_TOPIC_MISSING',
    message: /shop_request-dlt-replays/,
  })
  broker.faults = { send: ({ topic }) => (topic.endsWith('-replays') ? { fate: 'not-sent' } : undefined) }
  await assert.rejects(all(letters.replay(place, { dryRun: false })), { code: 'MILENA_NOT_SENT' })
  assert.deepEqual(requests(), [])
})

test('where what was replayed cannot be read that is said, and nothing is sent', async (t) => {
  const { open, connect, write, requests } = await sit(t)
  await write('one')
  for await (const { verdict } of open().replay({ topic: 'shop_request' }, { dryRun: false }))
    assert.equal(verdict, 'replayed')
  const error = new TransportError('MILENA_NOT_AUTHORIZED', 'not allowed for this topic')
  const inner = connect()
  const transport = altered(inner, {
    async tail(options): Promise<Tail> {
      if (options.topic !== 'shop_request-dlt-replays') return inner.tail(options)
      const tail = await inner.tail({ ...options, onRecords() {} })
      options.onTrouble!([{ kind: 'not-authorized', topic: options.topic, since: 0, error }])
      return { ...tail, close: () => tail.close(), caughtUp: () => new Promise(() => {}) }
    },
  })
  const replays = open({ transport }).replay({ topic: 'shop_request' }, { dryRun: false, again: true })
  await assert.rejects(replays.next(), error)
  assert.equal(requests().length, 1)
})

test('a topic that was made again has other letters at the same places', async (t) => {
  const { letters, open, write, connect } = await sit(t)
  await all(letters.replay(await write('a'), { dryRun: false }))
  const admin = connect()
  await admin.deleteTopics(['shop_request-dlt'])
  await admin.createTopics([{ name: 'shop_request-dlt', partitions: 1 }])
  await new Promise((resolve) => setTimeout(resolve, 2))
  const place = await write('another')
  assert.equal(place.offset, 0)
  assert.deepEqual(verdicts(await all(open().replay(place))), ['replayed'])
})

test('what is sent is the request as it was, and says which letter it is', async (t) => {
  const { letters, write, requests } = await sit(t, 3)
  const before: RawHeader[] = [
    [name('trace'), Buffer.from([1])],
    springProfile.correlationHeader(Buffer.from('0123456789abcdef')),
    ...springProfile.addressHeaders({ topic: 'shop_reply', partition: 1 }),
    operationHeader('echo'),
    [name('trace'), null],
  ]
  const timing = [deadlineHeader(Date.now() + 60_000), timeoutHeader(60_000)]
  const dead: RawHeader[] = [
    ...origin('shop_request', 2),
    textHeader(name('milena-dlt-code'), 'X'),
    textHeader(name('retry_topic-attempts'), '3'),
    textHeader(name('milena-replay-of'), 'older/0/0'),
  ]
  const waiting = await write('waiting', [...before, ...timing, ...dead], 'k')
  const late = await write('late', [...before, deadlineHeader(1), timeoutHeader(5), ...dead], 'k')
  const open = await write('open', [...before, ...dead], 'k')
  const sent = async (place: RecordPosition, options = {}): Promise<[Replay, RawHeader[]]> => {
    const [replay] = await all(letters.replay(place, { dryRun: false, again: true, ...options }))
    const record = requests().at(-1)!
    assert.deepEqual([record.partition, String(record.key)], [2, 'k'])
    return [replay!, [...record.headers]]
  }
  const bare = before.filter(([header]) => !String(header).startsWith('kafka_reply'))

  const [toRequester, kept] = await sent(waiting)
  assert.deepEqual(kept, [...before, ...timing, mark(waiting)])
  assert.deepEqual([toRequester.waits, toRequester.replyTo], [true, { topic: 'shop_reply', partition: 1 }])
  // Nobody waits any more, or nobody knows: the reply goes nowhere, and no deadline refuses the request.
  for (const place of [late, open]) {
    const [replay, headers] = await sent(place)
    assert.deepEqual(headers, [...bare, mark(place)])
    assert.deepEqual([replay.waits, replay.replyTo], [false, undefined])
  }
  const address = { topic: 'shop_reply', partition: 0 }
  assert.deepEqual((await sent(late, { replyTo: address }))[1], [
    ...bare,
    mark(late),
    ...springProfile.addressHeaders(address),
  ])
  assert.deepEqual((await sent(late, { replyTo: 'requester' }))[1], [...before, mark(late)])
  const [, fresh] = await sent(late, { timeout: 30_000 })
  assert.deepEqual(fresh.slice(0, -2), [...bare, mark(late)])
  const until = Number(lastHeader(fresh, name('milena-deadline')))
  assert.ok(until > Date.now() + 20_000 && until <= Date.now() + 30_001)
})

test('a replay does not go to a topic that is not its letters’ own, or is missing', async (t) => {
  const { letters, write, connect } = await sit(t)
  await connect().createTopics([{ name: 'salaries', partitions: 1 }])
  await write('elsewhere', origin('salaries'))
  await write('nowhere', [])
  const open = { topic: (base: string): string => (base === 'gone' ? 'shop_request-dlt' : `${base}-dlt`) }
  await write('gone', origin('gone'))
  const replays = await all(letters.replay({ topic: 'shop_request' }, { dryRun: false }))
  assert.deepEqual(verdicts(replays), ['impossible', 'impossible', 'impossible'])
  const other = deadLetters({ transport: connect(), ...open })
  const [, , gone] = await all(other.replay({ topic: 'shop_request' }, { dryRun: false }))
  assert.equal(gone?.detail, 'its topic gone does not exist')
})

test('what has taken place is not done again, unless that is wanted', async (t) => {
  const { letters, write, requests } = await sit(t)
  await write('done', [...ours('MILENA_REPLY_INVALID'), textHeader(name('milena-dlt-effect'), 'done')])
  await write('stored')
  await write('running')
  await write('none')
  const options = {
    effectOf: ({ value }: { readonly value: Buffer | null }) =>
      ({ stored: 'done', running: 'running', none: 'none' } as const)[String(value)] ?? 'unknown',
  }
  const filter = { topic: 'shop_request' }
  const dry = await all(letters.replay(filter, options))
  assert.deepEqual(verdicts(dry), ['already-done', 'already-done', 'in-progress', 'replayed'])
  assert.deepEqual(
    dry.slice(0, 2).map(({ detail }) => detail),
    [
      'its effect has taken place, as its letter says',
      'its effect has taken place, as what is stored of it says',
    ],
  )
  const wet = await all(letters.replay(filter, { ...options, dryRun: false, evenIfDone: true }))
  assert.deepEqual(verdicts(wet), ['replayed', 'replayed', 'in-progress', 'replayed'])
  assert.equal(requests().length, 3)
})

test('a replayed request is handled, and one that dies again says so', async (t) => {
  const { asking, replier, letters, broker } = await sit(t)
  let isDown = true
  const worker = replier()
  worker.useRecords(deadLetter())
  worker.handle(echo, (text) => {
    if (isDown) throw new Error('down')
    return `${text}, at last`
  })
  await worker.start()
  const asked = await asking.ask('pay', { deadline: Date.now() + 60_000 })
  assert.equal((await asking.reply(asked)).error?.code, 'MILENA_DEAD_LETTERED')
  await all(letters.replay({ topic: 'shop_request' }, { dryRun: false }))
  await until('it has died again', () => broker.records('shop_request-dlt').length === 2)
  const [, second] = await all(letters.list({ topic: 'shop_request' }))
  assert.equal(second?.replayOf, 'shop_request-dlt/0/0')
  isDown = false
  assert.deepEqual(verdicts(await all(letters.replay({ topic: 'shop_request' }, { dryRun: false }))), [
    'already-replayed',
    'replayed',
  ])
  await until('it is answered', () =>
    asking.repliesTo(asked).some(({ text }) => text === '"pay, at last"' || text === 'pay, at last'),
  )
})

test('a replier with stored replies does a replayed letter again, and no other request; its store tells what took place', async (t) => {
  const { asking, replier, letters } = await sit(t)
  let isDown = true
  const handled: string[] = []
  const store = memoryIdempotencyStore()
  const worker = replier()
  worker.useRecords(idempotency({ store }))
  worker.useRecords(deadLetter())
  worker.handle(echo, (text) => {
    handled.push(text)
    if (isDown) throw new Error('down')
    return `${text}, at last`
  })
  await worker.start()
  const id = Buffer.from('0123456789abcdef')
  const question = { correlationId: id, deadline: Date.now() + 60_000 }
  assert.equal((await asking.answerTo('pay', question)).error?.code, 'MILENA_DEAD_LETTERED')
  isDown = false
  // The request itself, come again, gets what is stored.
  const repeated = await asking.ask('pay', question)
  await until('it is answered again', () => asking.repliesTo(repeated).length === 2)
  assert.deepEqual(handled, ['pay'])
  const filter = { topic: 'shop_request' }
  const options = { effectOf: effectIn(store), dryRun: false }
  assert.deepEqual(verdicts(await all(letters.replay(filter, options))), ['replayed'])
  await until('it is done', () => asking.repliesTo(repeated).length === 3)
  assert.equal(asking.repliesTo(repeated)[2]!.error, undefined)
  assert.deepEqual(handled, ['pay', 'pay'])
  // Now the store has its reply.
  const [done] = await all(letters.replay(filter, { ...options, again: true }))
  assert.deepEqual(
    [done?.verdict, done?.detail],
    ['already-done', 'its effect has taken place, as what is stored of it says'],
  )
  const [forced] = await all(letters.replay(filter, { ...options, again: true, evenIfDone: true }))
  assert.equal(forced?.verdict, 'replayed')
  await until('it is answered from the store', () => asking.repliesTo(repeated).length === 4)
  assert.deepEqual(handled, ['pay', 'pay'])
})
