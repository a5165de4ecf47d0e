import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test, type TestContext } from 'node:test'
import { MilenaError } from '../src/errors.ts'
import { StderrLogger, Warnings } from '../src/replier/warnings.ts'
import { ManualClock } from './manual-clock.ts'

function capture(t: TestContext): string[] {
  const lines: string[] = []
  t.mock.method(process.stderr, 'write', (line: string) => {
    lines.push(line)
    return true
  })
  return lines
}

test('by default a warning is one line on standard error', (t) => {
  const lines = capture(t)
  new Warnings(new StderrLogger(new ManualClock()), 'replier of group g').tell('it is so', {
    topic: 't',
    offset: 7,
  })
  assert.deepEqual(lines, ['milena: it is so {"topic":"t","offset":7}\n'])
})

test('what a foreign error says is not written, for it may have a payload in it; our own is', (t) => {
  const lines = capture(t)
  const warnings = new Warnings(new StderrLogger(new ManualClock()), 'replier')
  warnings.tell('failed', {}, new TypeError('card 4111-1111'))
  warnings.tell('failed', {}, Object.assign(new Error('card 4111-1111'), { code: 'ECONNRESET' }))
  warnings.tell('failed', {}, 'card 4111-1111')
  warnings.tell('failed', {}, new MilenaError('MILENA_NOT_SENT', 'topic t, partition 0'))
  assert.doesNotMatch(lines.join(''), /4111/)
  assert.match(lines[0]!, /TypeError/)
  assert.match(lines[1]!, /Error ECONNRESET/)
  assert.match(lines[3]!, /MILENA_NOT_SENT: topic t, partition 0/)
})

test('a flood of one kind is cut, told so, and does not hide other kinds', async (t) => {
  const lines = capture(t)
  const clock = new ManualClock()
  const warnings = new Warnings(new StderrLogger(clock), 'replier')
  for (let i = 0; i < 1_000; i++) warnings.tell('rubbish', { offset: i })
  warnings.tell('something else', {})
  assert.equal(lines.length, 21)
  await clock.advance(10_000)
  warnings.tell('rubbish', { offset: 1_000 })
  assert.match(lines.at(-1)!, /"offset":1000,"leftOutBefore":980/)
  warnings.tell('rubbish', { offset: 1_001 })
  assert.doesNotMatch(lines.at(-1)!, /leftOutBefore/)
})

test('whoever listens to milena:warning gets the error itself', (t) => {
  const seen: { context: string; error: Error }[] = []
  const listen = (message: unknown): void => void seen.push(message as { context: string; error: Error })
  subscribe('milena:warning', listen)
  t.after(() => unsubscribe('milena:warning', listen))
  const error = new Error('boom')
  const warnings = new Warnings({ warn: () => undefined }, 'replier of group g')
  warnings.tell('failed', {}, error)
  warnings.tell('no error', {})
  assert.equal(seen[0]!.error, error)
  assert.equal(seen[0]!.context, 'replier of group g: failed')
  assert.equal(seen[1]!.error.message, 'no error')
})
