import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import type { WarningStep } from '../src/diagnostics.ts'
import { MilenaError, ValidationError } from '../src/errors.ts'
import { endOf } from '../src/transport/kafka/connection/verdicts.ts'
import { problemOfLogger, Warnings, type Logger } from '../src/warnings.ts'
import { ManualClock } from './manual-clock.ts'

interface Line {
  readonly message: string
  readonly details: Readonly<Record<string, unknown>>
  readonly error: unknown
}

function logging(): { warnings: Warnings; lines: Line[]; clock: ManualClock } {
  const lines: Line[] = []
  const clock = new ManualClock()
  const logger: Logger = { warn: (message, details, error) => void lines.push({ message, details, error }) }
  const always = { groupId: 'g' }
  return { warnings: new Warnings({ who: 'replier of group g', always, logger, clock }), lines, clock }
}

test('the logger gets the sentence, what it is about, and the error itself', () => {
  const { warnings, lines } = logging()
  const error = new TypeError('no such account')
  warnings.tell('a handler failed', { operation: 'pay', offset: 7 }, error)
  const { message, details } = lines[0]!
  assert.equal(message, 'a handler failed')
  assert.deepEqual(
    { ...details, stack: undefined },
    {
      groupId: 'g',
      operation: 'pay',
      offset: 7,
      error: 'TypeError: no such account',
      stack: undefined,
    },
  )
  assert.match(String(details.stack), /TypeError: no such account\n +at .*warnings\.test/)
  assert.equal(lines[0]!.error, error)
})

test("an error's causes are in its stack, and our own are told by what they say", () => {
  const { warnings, lines } = logging()
  const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
  warnings.tell('it failed', {}, new MilenaError('MILENA_JOURNAL_FAILED', 'the store is away', { cause }))
  assert.equal(lines[0]!.details.error, 'MILENA_JOURNAL_FAILED: the store is away')
  assert.match(String(lines[0]!.details.stack), /^Error: refused\n +at /)
})

test('a stack that has no place outside Node is not told where the message has its words', () => {
  const { warnings, lines } = logging()
  const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:9'), { code: 'ECONNREFUSED' })
  refused.stack = `Error: ${refused.message}\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:2021:16)`
  const { error: cause } = endOf('127.0.0.1:9', refused, 'connecting')
  const message = `no broker has answered (${cause.message})`
  warnings.tell('disturbed', {}, new MilenaError('MILENA_BROKER_UNREACHABLE', message, { cause }))
  assert.deepEqual(lines[0]!.details, { groupId: 'g', error: `MILENA_BROKER_UNREACHABLE: ${message}` })
  // Words that were not told yet, and places in an application, are.
  warnings.tell(
    'failed',
    {},
    new MilenaError('MILENA_JOURNAL_FAILED', 'the store is away', { cause: refused }),
  )
  assert.equal(lines[1]!.details.stack, refused.stack)
  refused.stack += '\n    at save (file:///app/store.js:7:9)'
  warnings.tell('a handler failed', {}, refused)
  assert.equal(lines[2]!.details.stack, refused.stack)
})

test('of an invalid reply every failing path is told', () => {
  const { warnings, lines } = logging()
  const issues = Array.from({ length: 12 }, (_, i) => ({ path: `items[${i}].price`, message: 'no number' }))
  warnings.tell('an invalid reply', {}, new ValidationError('MILENA_REPLY_INVALID', 'pay', issues))
  assert.deepEqual(
    lines[0]!.details.failing,
    issues.map(({ path, message }) => `${path}: ${message}`),
  )
})

test('a storm of the same is one line and a count, in each ten seconds', async () => {
  const { warnings, lines, clock } = logging()
  for (let i = 0; i < 5_000; i++) warnings.tell('rubbish', { topic: 't', offset: i })
  assert.equal(lines.length, 1)
  await clock.advance(10_000)
  assert.deepEqual(lines[1]!.details, { groupId: 'g', topic: 't', offset: 4_999, more: 4_999 })
  warnings.tell('rubbish', { topic: 't', offset: 5_000 })
  await clock.advance(9_999)
  assert.equal(lines.length, 2)
  await clock.advance(1)
  assert.equal(lines[2]!.details.more, 1)
  await clock.advance(60_000)
  assert.equal(lines.length, 3)
  assert.equal(clock.timers, 0)
  warnings.tell('rubbish', { topic: 't', offset: 5_001 })
  assert.equal(lines[3]!.details.more, undefined)
})

test('what differs in its topic, partition, operation or error is told by itself, up to a bound', () => {
  const { warnings, lines } = logging()
  warnings.tell('it stands still', { topic: 't', partition: 0 })
  warnings.tell('it stands still', { topic: 't', partition: 1 })
  warnings.tell('it stands still', { topic: 'u', partition: 1 })
  assert.equal(lines.length, 3)
  for (let i = 0; i < 1_000; i++) warnings.tell('it failed', {}, new Error(`number ${i}`))
  assert.equal(lines.length, 3 + 21)
})

test('closing tells what was left out, and leaves no timer', () => {
  const { warnings, lines, clock } = logging()
  for (let i = 0; i < 3; i++) warnings.tell('rubbish')
  warnings.close()
  assert.equal(lines.at(-1)!.details.more, 2)
  warnings.tell('rubbish')
  assert.equal(clock.timers, 0)
})

test('without a logger it is a process warning, with the stack below it', (t) => {
  const emitted = t.mock.method(process, 'emitWarning', () => undefined)
  const warnings = new Warnings({
    who: 'replier of group g',
    always: { groupId: 'g' },
    logger: undefined,
    clock: new ManualClock(),
  })
  warnings.tell('a handler failed', { operation: 'pay' }, new RangeError('boom'))
  const [text, { type, detail }] = emitted.mock.calls[0]!.arguments as unknown as [
    string,
    Record<string, string>,
  ]
  assert.equal(
    text,
    'replier of group g: a handler failed: RangeError: boom {"groupId":"g","operation":"pay"}',
  )
  assert.equal(type, 'MilenaWarning')
  assert.match(detail!, /RangeError: boom\n +at /)
})

test('whoever listens to milena:warning gets each one with the error itself, and no process warning is made', (t) => {
  const seen: WarningStep[] = []
  const listen = (message: unknown): void => void seen.push(message as WarningStep)
  subscribe('milena:warning', listen)
  t.after(() => unsubscribe('milena:warning', listen))
  const emitted = t.mock.method(process, 'emitWarning', () => undefined)
  const error = new Error('boom')
  const clock = new ManualClock()
  const warnings = new Warnings({ who: 'replier of group g', always: {}, logger: undefined, clock })
  for (let i = 0; i < 2; i++) warnings.tell('failed', {}, error)
  warnings.tell('no error')
  assert.equal(seen.length, 3)
  assert.equal(seen[1]!.error, error)
  assert.equal(seen[0]!.context, 'replier of group g: failed')
  assert.equal(seen[2]!.error.message, 'no error')
  assert.equal(emitted.mock.callCount(), 0)
})

test('a logger that takes the details first, as pino does, gets them first', () => {
  const given: unknown[][] = []
  const pino = {
    bindings: () => ({}),
    child: () => pino,
    warn: (...values: unknown[]) => void given.push(values),
  }
  const warnings = new Warnings({ who: 'r', always: {}, logger: pino, clock: new ManualClock() })
  warnings.tell('it is so', { topic: 't' })
  assert.deepEqual(given, [[{ topic: 't' }, 'it is so']])
})

test('a console writes the stack once, below, and nothing that forges a line', () => {
  const written: string[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk.toString())
      done()
    },
  })
  const logger = new console.Console(stream)
  const warnings = new Warnings({ who: 'r', always: {}, logger, clock: new ManualClock() })
  warnings.tell('it failed', { topic: 't' }, new Error('bad \u001b[2J value'))
  warnings.tell('it is so', { topic: 't' })
  const text = written.join('')
  assert.match(text, /^it failed \{ topic: 't', error: '.*' \} \nError: bad .* value\n +at /)
  assert.equal(text.match(/\n +at .*warnings\.test/g)!.length, 1)
  assert.ok(!text.includes('\u001b'))
  assert.match(text, /\nit is so \{ topic: 't' \}\n$/)
})

test('nothing that is thrown, and no logger, makes telling throw', () => {
  const clock = new ManualClock()
  const hostile = new Proxy(new Error('x'), {
    get: () => {
      throw new Error('no')
    },
  })
  const { warnings, lines } = logging()
  for (const thrown of [undefined, null, 1n, Symbol('s'), hostile, Object.create(null)])
    warnings.tell('failed', { size: 1n }, thrown)
  assert.ok(lines.length >= 5)
  const logger: Logger = {
    warn() {
      throw new Error('full')
    },
  }
  new Warnings({ who: 'r', always: {}, logger, clock }).tell('failed')
  new Warnings({ who: 'r', always: {}, logger: undefined, clock }).tell('failed', { size: 1n }, hostile)
})

test('an option that is no logger is refused', () => {
  assert.equal(problemOfLogger(undefined), undefined)
  assert.equal(problemOfLogger(console), undefined)
  for (const wrong of [null, 1, {}, { warn: 1 }])
    assert.match(problemOfLogger(wrong as never)!, /warn\(message/)
})
