/** Dead letters at the replier, on a broker in memory: what happens while one cannot be written, and what it is written to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deadLetter, type DeadLetterOptions } from '../src/dead-letters/dead-letter.ts'
import type { OptionsError } from '../src/errors.ts'
import type { SendFate } from '../src/transport/memory/faults.ts'
import { partitionForKey } from '../src/transport/partitioner.ts'
import { until } from './asking.ts'
import { keep, text, usual } from './letter-keeping.ts'
import { ManualClock } from './manual-clock.ts'
import { echo, setUp } from './replying.ts'

test('while a letter cannot be written its partition stands still, and its handler is not run again', async (t) => {
  const clock = new ManualClock()
  const { asking, letters, worker, handled, committed, broker } = await keep(t, { clock })
  const fates: SendFate[] = ['not-sent', 'unknown']
  const written: string[] = []
  broker.faults = {
    send: ({ topic, value }) => {
      if (topic !== 'shop_request-dlt') return undefined
      written.push(String(value))
      return { fate: fates.shift() ?? 'deliver' }
    },
  }
  const fine = await asking.ask('fine')
  const failing = await asking.ask('fail', { replyTo: null, correlationId: null })
  const behind = await asking.ask('behind', { key: 'another' })
  await until('it was tried once', () => worker.health().stopped.length === 1)
  const [stopped] = worker.health().stopped
  assert.equal(stopped?.reason, 'outcome')
  assert.match(
    stopped.error!.message,
    /^the record at shop_request\/0\/1 could not be kept as a dead letter in shop_request-dlt, so its partition stands still: /,
  )
  await asking.reply(fine)
  await clock.advance(1_000)
  await until('it was tried twice', () => written.length === 2)
  assert.equal(committed(), failing.position.offset)
  assert.equal(letters().length, 0)
  await clock.advance(2_000)
  await asking.reply(behind)
  await clock.advance(10)
  await until('all is committed', () => committed() === 3)
  assert.deepEqual(worker.health().stopped, [])
  assert.deepEqual(
    handled.filter((text) => text === 'fail'),
    ['fail'],
  )
  assert.deepEqual(
    letters().map(({ value }) => String(value)),
    ['"fail"'],
  )
})

test('a letter that takes long is waited for at the next turn, not written again', async (t) => {
  const clock = new ManualClock()
  const { asking, letters, worker, broker } = await keep(t, { clock, handlerTimeout: 1_000 })
  let sends = 0
  broker.faults = {
    send: ({ topic }) => (topic === 'shop_request-dlt' ? (sends++, { ackDelay: 300 }) : undefined),
  }
  const asked = await asking.ask('fail')
  await until('it is in the log', () => letters().length === 1)
  // Also longer than a handler may take: that is no reason to commit a record whose letter may not be there.
  await clock.advance(5_000)
  await until('its partition stands still', () => worker.health().stopped.length === 1)
  await clock.advance(1_000)
  await until('it is acknowledged', () => asking.repliesTo(asked).length === 1)
  assert.equal(asking.repliesTo(asked)[0]!.error?.code, 'MILENA_DEAD_LETTERED')
  assert.equal(sends, 1)
})

test('a letter that is too large goes without its stack, then without its words, and else says what to do', async (t) => {
  const short = Buffer.from('"fail"')
  for (const [limit, left] of [
    [1_000, ['fqcn', 'cause-fqcn', 'message']],
    [450, ['fqcn', 'cause-fqcn']],
    [210, []],
  ] as const) {
    const { asking, letters } = await keep(t, { dlt: { configs: { 'max.message.bytes': String(limit) } } })
    await asking.answerTo(short)
    const names = letters()[0]!.headers.map(([name]) => String(name))
    assert.deepEqual(
      names.filter((name) => name.startsWith('kafka_dlt-exception-')).map((name) => name.slice(20)),
      left,
      String(limit),
    )
    assert.equal(text(letters()[0], 'milena-dlt-code'), 'MILENA_HANDLER_FAILED')
  }
  const { asking, worker, committed } = await keep(t, { dlt: { configs: { 'max.message.bytes': '100' } } })
  await asking.ask(short)
  await until('its partition stands still', () => worker.health().stopped.length === 1)
  assert.match(worker.health().stopped[0]!.error!.message, /raise max\.message\.bytes of shop_request-dlt/)
  assert.equal(committed(), 0)
})

test('the partition’s number is kept where the topic has it; without it the key decides', async (t) => {
  const { asking, letters } = await keep(t, { partitions: 3, dlt: { partitions: 2 } })
  for (const partition of [0, 1, 2]) await asking.answerTo(`fail ${partition}`, { partition, key: 'k' })
  const byKey = partitionForKey(Buffer.from('k'), 2)
  assert.deepEqual(
    letters()
      .map(({ value, partition }) => `${String(value)} in ${partition}`)
      .toSorted(),
    ['"fail 0" in 0', '"fail 1" in 1', `"fail 2" in ${byKey}`],
  )
})

test('a topic that was made again with fewer partitions is found out', async (t) => {
  const clock = new ManualClock()
  const { asking, letters, worker, connect } = await keep(t, { clock, partitions: 2 })
  const admin = connect()
  await admin.deleteTopics(['shop_request-dlt'])
  const asked = await asking.ask('fail', { partition: 1 })
  await until('its partition stands still', () => worker.health().stopped.length === 1)
  assert.match(worker.health().stopped[0]!.error!.message, /topic shop_request-dlt does not exist/)
  await admin.createTopics([{ name: 'shop_request-dlt', partitions: 1 }])
  await clock.advance(1_000)
  await until('it is answered', () => asking.repliesTo(asked).length === 1)
  assert.equal(letters().length, 1)
})

test('a missing topic ends the start, unless it is to be created: then with as many partitions', async (t) => {
  const bench = await setUp(t, 3)
  const refused = bench.replier()
  refused.useRecords(deadLetter())
  refused.handle(echo, usual)
  await assert.rejects(refused.start(), {
    code: 'MILENA_TOPIC_MISSING',
    message: /topic shop_request-dlt does not exist/,
  })
  const making = bench.replier({ createTopics: true })
  making.handle(echo, usual, { useRecords: [deadLetter({ topic: (base) => `${base}.DLT` })] })
  await making.start()
  const described = await bench.connect().describeTopics()
  assert.equal(described.get('shop_request.DLT')?.partitions, 3)
  assert.equal(described.has('shop_request-dlt'), false)
})

test('options that cannot work are listed, all of them', async (t) => {
  const wrong = { topic: 'x', which: 1, detail: 'all', what: 1 } as unknown as DeadLetterOptions
  assert.throws(
    () => deadLetter(wrong),
    (error: OptionsError) => error.problems.length === 4,
  )
  const bench = await setUp(t)
  const middleware = deadLetter({ topic: (base) => base })
  const worker = bench.replier()
  worker.handle(echo, usual, { useRecords: [middleware] })
  await assert.rejects(worker.start(), /the dead letters of shop_request would go to shop_request/)
  const shared = deadLetter()
  for (const isFirst of [true, false]) {
    const one = bench.replier({ createTopics: true })
    one.handle(echo, usual, { useRecords: [shared] })
    if (isFirst) await one.start()
    else await assert.rejects(one.start(), /it belongs to a replier already/)
  }
})
