/** Dead letters for operators, on a broker in memory: listed and shown. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deadLetters } from '../src/dead-letters/browser.ts'
import { deadLetter } from '../src/dead-letters/dead-letter.ts'
import type { DeadLetter } from '../src/dead-letters/letter.ts'
import { OptionsError } from '../src/errors.ts'
import { int32Header, int64Header, textHeader } from '../src/wire/dead-letter.ts'
import { all, name, origin, ours, sit } from './letter-desk.ts'
import { echo } from './replying.ts'

const values = (found: readonly DeadLetter[]): string[] =>
  found.map(({ partition, offset }) => `${partition}/${offset}`)

/** Whether an error lists so many. */
const problems = (count: number) => (error: OptionsError) => error.problems.length === count

test('a letter that a replier has kept is listed and shown with all that it has', async (t) => {
  const { asking, replier, letters } = await sit(t)
  const worker = replier()
  worker.useRecords(deadLetter())
  worker.handle(echo, () => {
    throw new TypeError('no such account', { cause: new RangeError('7') })
  })
  await worker.start()
  const deadline = Date.now() + 60_000
  const asked = await asking.ask('pay', { key: 'k', deadline })
  await asking.reply(asked)

  const [listed, ...others] = await all(letters.list({ topic: 'shop_request' }))
  assert.deepEqual(others, [])
  const { timestamp, size, original, ...rest } = listed!
  assert.ok(Math.abs(Date.now() - timestamp) < 60_000 && size > 100)
  assert.equal(typeof original?.timestamp, 'number')
  assert.deepEqual(
    { ...original, timestamp: 0 },
    { topic: 'shop_request', partition: 0, offset: 0, timestamp: 0 },
  )
  assert.deepEqual(rest, {
    topic: 'shop_request-dlt',
    partition: 0,
    offset: 0,
    group: 'shop',
    operation: 'echo',
    code: 'MILENA_HANDLER_FAILED',
    errorClass: 'TypeError',
    causeClass: 'RangeError',
    message: 'no such account',
    attempts: 1,
    effect: 'unknown',
    key: Buffer.from('k'),
    correlationId: Buffer.from(asked.id, 'hex'),
    replyTo: { topic: 'shop_reply' },
    deadline,
    replayOf: undefined,
    replays: [],
  })
  const whole = await letters.show(listed!)
  assert.equal(String(whole?.value), '"pay"')
  assert.match(whole!.stack!, /^TypeError: no such account\n/)
  assert.equal(whole!.headers.text('kafka_replyTopic'), 'shop_reply')
  for (const offset of [1, 99, -1]) assert.equal(await letters.show({ ...listed!, offset }), undefined)
  assert.equal(await letters.show({ ...listed!, partition: 3 }), undefined)
})

test('letters of others are listed by what their headers have, and what stands there besides is too', async (t) => {
  const { letters, write } = await sit(t)
  await write('spring', origin())
  await write('retried', [
    textHeader(name('kafka_original-topic'), 'shop_request'),
    int32Header(name('kafka_original-partition'), 2),
    int64Header(name('kafka_original-offset'), 5),
  ])
  await write('odd', [
    [name('kafka_dlt-original-topic'), null],
    [name('kafka_dlt-original-partition'), Buffer.from('x')],
    [name('milena-dlt-attempts'), Buffer.from('many')],
    [name('kafka_replyTopic'), Buffer.from('y')],
  ])
  const [spring, retried, odd] = await all(letters.list({ topic: 'shop_request' }))
  assert.deepEqual(
    [spring?.original, spring?.group, spring?.errorClass, spring?.causeClass, spring?.code, spring?.attempts],
    [
      { topic: 'shop_request', partition: 0, offset: 7, timestamp: 1_700_000_000_000 },
      'spring-workers',
      'org.springframework.kafka.listener.ListenerExecutionFailedException',
      'java.lang.IllegalStateException',
      undefined,
      undefined,
    ],
  )
  assert.deepEqual(retried?.original, {
    topic: 'shop_request',
    partition: 2,
    offset: 5,
    timestamp: undefined,
  })
  assert.deepEqual(
    [odd?.original, odd?.attempts, odd?.replyTo, odd?.effect],
    [undefined, undefined, undefined, 'unknown'],
  )
})

test('a filter chooses by operation, time, code, key and number', async (t) => {
  const { letters, write, broker } = await sit(t)
  await write('a', ours('DECLINED', 'pay'), 'k-1')
  await write('b', ours('MILENA_HANDLER_FAILED'), 'k-2')
  await write('c', origin())
  const times = broker.records('shop_request-dlt').map(({ timestamp }) => timestamp)
  const chosen = async (filter: object): Promise<string[]> =>
    values(await all(letters.list({ topic: 'shop_request', ...filter })))
  assert.deepEqual(await chosen({}), ['0/0', '0/1', '0/2'])
  assert.deepEqual(await chosen({ operation: 'pay' }), ['0/0'])
  assert.deepEqual(await chosen({ code: 'MILENA_HANDLER_FAILED' }), ['0/1'])
  assert.deepEqual(await chosen({ code: 'java.lang.IllegalStateException' }), ['0/2'])
  assert.deepEqual(await chosen({ key: 'k-2' }), ['0/1'])
  assert.deepEqual(await chosen({ key: Buffer.from('k-1') }), ['0/0'])
  assert.deepEqual(await chosen({ limit: 2 }), ['0/0', '0/1'])
  assert.deepEqual(await chosen({ limit: 0 }), [])
  assert.deepEqual(await chosen({ since: times[2]! + 1 }), [])
  assert.deepEqual(await chosen({ until: times[0]! }), [])
  assert.equal((await chosen({ since: times[0], until: times[2]! + 1 })).length, 3)
})

test('thousands of letters come in pieces, each once, and those that come meanwhile do not', async (t) => {
  const { letters, write } = await sit(t, 2)
  const count = 2_500
  await Promise.all(Array.from({ length: count }, (_, i) => write(String(i), undefined, undefined, i % 2)))
  const found: string[] = []
  for await (const letter of letters.list({ topic: 'shop_request' })) {
    if (found.length === 0) await write('later')
    found.push(`${letter.partition}/${letter.offset}`)
  }
  assert.equal(found.length, count)
  assert.equal(new Set(found).size, count)
  const stop = new AbortController()
  await assert.rejects(async () => {
    for await (const letter of letters.list({ topic: 'shop_request', signal: stop.signal })) {
      assert.ok(letter.offset < 1_250)
      stop.abort(new Error('enough'))
    }
  }, /enough/)
})

test('a missing topic, and options that cannot work, are said', async (t) => {
  const { letters, connect } = await sit(t)
  await assert.rejects(all(letters.list({ topic: 'nothing' })), { code: 'MILENA_TOPIC_MISSING' })
  await assert.rejects(letters.show({ topic: 'nothing-dlt', partition: 0, offset: 0 }), {
    code: 'MILENA_TOPIC_MISSING',
  })
  assert.throws(() => deadLetters({ what: 1 } as never), OptionsError)
  await assert.rejects(
    all(letters.list({ topic: '', limit: -1, since: Number.NaN, x: 1 } as never)),
    problems(4),
  )
  await assert.rejects(
    all(letters.replay({ topic: 'x' }, { timeout: 0, replyTo: 'x', effectOf: 1, y: 1 } as never)),
    problems(4),
  )
  const transport = connect()
  const closing = deadLetters({ transport })
  await closing.close()
  await assert.rejects(all(closing.list({ topic: 'shop_request' })), { code: 'MILENA_CLOSED' })
  assert.ok((await transport.describeTopics()).size > 0)
})
