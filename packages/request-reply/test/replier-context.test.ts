import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TimeoutError } from '../src/errors.ts'
import { RequestContext, type Abortable } from '../src/replier/context.ts'
import { ReplierCounters } from '../src/replier/stats.ts'
import { ManualClock } from './manual-clock.ts'

function context(clock: ManualClock, abortable: Abortable, wait: number | undefined): RequestContext {
  const record = {
    topic: 't',
    partition: 0,
    offset: 0,
    key: null,
    value: null,
    headers: [],
    timestamp: 0,
    size: 0,
  }
  const deadline = wait === undefined ? undefined : clock.now() + wait
  const parts = { clock, forwardHeaders: [] }
  return new RequestContext('echo', record, Buffer.alloc(16), deadline, parts, abortable)
}

test('a handler that does not ask for its signal costs no timer', () => {
  const clock = new ManualClock()
  const abortable: Abortable = new Set()
  context(clock, abortable, 1_000).release()
  assert.equal(clock.timers, 0)
  assert.equal(abortable.size, 0)
})

test('when the handler has ended, neither timer nor signal is kept', async () => {
  const clock = new ManualClock()
  const abortable: Abortable = new Set()
  const ended = context(clock, abortable, 1_000)
  const { signal } = ended
  assert.equal(clock.timers, 1)
  assert.equal(abortable.size, 1)
  ended.release()
  assert.equal(clock.timers, 0)
  assert.equal(abortable.size, 0)
  await clock.advance(2_000)
  assert.equal(signal.aborted, false)
})

test('a signal that is asked for after the deadline fires', async () => {
  const clock = new ManualClock()
  const late = context(clock, new Set(), -5)
  const { signal } = late
  await clock.advance(0)
  assert.equal(signal.aborted, true)
  assert.equal(late.abandoned, false)
})

test('nothing is made for what a request made inside would carry before it is asked for', async () => {
  const clock = new ManualClock()
  const abortable: Abortable = new Set()
  const given = context(clock, abortable, 1_000)
  assert.deepEqual([clock.timers, abortable.size], [0, 0])
  const { deadline, signal, headers } = given.forward()
  assert.deepEqual([deadline, headers, signal], [clock.now() + 1_000, {}, given.signal])
  assert.deepEqual([clock.timers, abortable.size], [1, 1])
  given.release()
  assert.deepEqual([clock.timers, abortable.size], [0, 0])
})

test('a request that states no deadline hands on none', () => {
  assert.equal(context(new ManualClock(), new Set(), undefined).forward().deadline, undefined)
})

test('an abandoned request has its signal fired with the reason, once', async () => {
  const clock = new ManualClock()
  const given = context(clock, new Set(), 1_000)
  const { signal } = given
  const reason = new Error('moved')
  given.abandon(reason)
  await clock.advance(2_000)
  assert.equal(signal.reason, reason)
  assert.equal(given.abandoned, true)
})

test('a signal that is asked for only when the request was given up has fired', () => {
  const timedOut = context(new ManualClock(), new Set(), 1_000)
  timedOut.abandon(new Error('it has taken too long'))
  assert.match(String(timedOut.forward().signal.reason), /it has taken too long/)
  const abortable: Abortable = new Set()
  const moved = context(new ManualClock(), abortable, 1_000)
  abortable.aborted = new Error('its partition has moved')
  assert.match(String(moved.signal.reason), /its partition has moved/)
  assert.equal(moved.abandoned, true)
})

test('a signal that is asked for only when the handler has ended is kept nowhere', () => {
  const clock = new ManualClock()
  const abortable: Abortable = new Set()
  const ended = context(clock, abortable, 1_000)
  ended.release()
  assert.equal(ended.signal.aborted, false)
  assert.deepEqual([clock.timers, abortable.size], [0, 0])
})

test('error codes are counted apart up to a hundred, for a handler may make up as many as it likes', () => {
  const counters = new ReplierCounters()
  for (let i = 0; i < 1_000; i++) counters.countErrorReply(`CODE_${i}`)
  counters.countErrorReply('CODE_7')
  assert.equal(counters.errorReplies.size, 101)
  assert.equal(counters.errorReplies.get('CODE_7'), 2)
  assert.equal(counters.errorReplies.get('others'), 900)
})

test('a request that was cut short by the deadline is no failure of the handler, whichever timer fires first', async () => {
  const clock = new ManualClock()
  const timedOut = new TimeoutError('stock', 900)
  const given = context(clock, new Set(), 1_000)
  // A handler that has handed on nothing has run out of its own patience.
  await clock.advance(999)
  assert.equal(given.stopped(timedOut), undefined)
  given.forward()
  assert.equal(given.stopped(timedOut), 'deadline')
  assert.equal(given.stopped(new Error('no stock')), undefined)
  await clock.advance(1)
  assert.equal(given.stopped(timedOut), 'deadline')
  const early = context(clock, new Set(), 1_000)
  early.forward()
  assert.equal(early.stopped(timedOut), undefined)
})
