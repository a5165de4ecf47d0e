/** Dead letters at the replier, on a broker in memory: what becomes one, how it looks, and what happens while it cannot be written. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { deadLetter, type DeadLetterOptions } from '../src/dead-letters/dead-letter.ts'
import { ReplyError } from '../src/errors.ts'
import type { RecordMiddleware } from '../src/replier/record-middleware.ts'
import type { ReplierOptions } from '../src/replier/options.ts'
import type { Replier } from '../src/replier/replier.ts'
import type { IncomingRecord } from '../src/transport/transport.ts'
import { lastHeader, type RawHeader } from '../src/wire/headers.ts'
import { until } from './asking.ts'
import { echo, setUp, type Bench } from './replying.ts'

interface Keeping extends Bench {
  readonly worker: Replier
  readonly letters: () => readonly IncomingRecord[]
  readonly handled: string[]
}

type Handler = (text: string, attempt: number) => string

/** What its text says: `fail`, `decline` … */
const usual: Handler = (text) => {
  if (text.startsWith('fail')) throw new TypeError('no such account', { cause: new RangeError('7') })
  if (text.startsWith('decline')) throw new ReplyError('DECLINED', 'not today', { effect: 'none' })
  if (text.startsWith('object')) throw new ReplyError('OBJECTED', 'not like this')
  if (text.startsWith('busy')) throw new ReplyError('BUSY', 'later', { effect: 'none', retryable: true })
  return text
}

async function keep(
  t: TestContext,
  {
    letter = {},
    partitions = 1,
    inside = [],
    handler = usual,
    missing = false,
    ...options
  }: Partial<ReplierOptions> & {
    readonly letter?: DeadLetterOptions
    readonly partitions?: number
    readonly inside?: readonly RecordMiddleware[]
    readonly handler?: Handler
    readonly missing?: boolean
  } = {},
): Promise<Keeping> {
  const bench = await setUp(t, partitions)
  const handled: string[] = []
  if (!missing) await bench.connect().createTopics([{ name: 'shop_request-dlt', partitions }])
  const worker = bench.replier(options)
  worker.useRecords(deadLetter(letter))
  worker.handle(
    echo,
    (text, { attempt }: { readonly attempt?: number }) => {
      handled.push(text)
      return handler(text, attempt ?? 1)
    },
    { useRecords: inside },
  )
  await worker.start()
  return { ...bench, worker, letters: () => bench.broker.records('shop_request-dlt'), handled }
}

const text = (letter: IncomingRecord | undefined, name: string): string | undefined =>
  letter && lastHeader(letter.headers, Buffer.from(name))?.toString()

test('what failed is kept with its key, value and headers as they came, and Spring’s headers byte for byte', async (t) => {
  const { asking, letters, committed } = await keep(t, { partitions: 3 })
  const headers: RawHeader[] = [
    [Buffer.from('b'), Buffer.from([0xff])],
    [Buffer.from('a'), null],
    [Buffer.from('b'), Buffer.from('again')],
  ]
  await asking.answerTo('fine', { partition: 2 })
  const asked = await asking.ask('fail', { partition: 2, key: 'k', headers })
  const { error } = await asking.reply(asked)
  assert.deepEqual(error, {
    code: 'MILENA_DEAD_LETTERED',
    message:
      'given up, and kept as a dead letter: MILENA_HANDLER_FAILED: the handler failed; see the log of the replier',
    effect: undefined,
    retryable: false,
  })
  const [letter] = letters()
  assert.ok(letter)
  assert.equal(letter.partition, 2)
  assert.equal(String(letter.key), 'k')
  assert.equal(String(letter.value), '"fail"')
  assert.equal(letter.headers[0]![0].toString(), 'kafka_correlationId')
  const came = letter.headers.length - 13
  assert.deepEqual(
    letter.headers.slice(came - 3, came).map(([name, value]) => [String(name), value]),
    headers.map(([name, value]) => [String(name), value]),
  )
  const { timestamp } = (await import('node:assert')).strict && { timestamp: letter.timestamp }
  assert.ok(timestamp > 0)
  const original = lastHeader(letter.headers, Buffer.from('kafka_dlt-original-timestamp'))!
  const stack = text(letter, 'kafka_dlt-exception-stacktrace')!
  assert.match(stack, /^TypeError: no such account\n {4}at /)
  assert.deepEqual(
    letter.headers.slice(came).map(([name, value]) => [String(name), value]),
    [
      ['kafka_dlt-exception-fqcn', Buffer.from('TypeError')],
      ['kafka_dlt-exception-cause-fqcn', Buffer.from('RangeError')],
      ['kafka_dlt-exception-message', Buffer.from('no such account')],
      ['kafka_dlt-exception-stacktrace', Buffer.from(stack)],
      ['kafka_dlt-original-topic', Buffer.from('shop_request')],
      ['kafka_dlt-original-partition', Buffer.from([0, 0, 0, 2])],
      ['kafka_dlt-original-offset', Buffer.from([0, 0, 0, 0, 0, 0, 0, 1])],
      ['kafka_dlt-original-timestamp', original],
      ['kafka_dlt-original-timestamp-type', Buffer.from('CreateTime')],
      ['kafka_dlt-original-consumer-group', Buffer.from('shop')],
      ['milena-dlt-code', Buffer.from('MILENA_HANDLER_FAILED')],
      ['milena-dlt-operation', Buffer.from('echo')],
      ['milena-dlt-attempts', Buffer.from('1')],
    ],
  )
  assert.equal(original.length, 8)
  await until('it is committed', () => committed(2) === 2)
})
