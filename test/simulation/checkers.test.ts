/** The fine print of the checkers, on histories made up for it; `simulation.test.ts` plants bugs in the system itself. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { check, type LoggedRequest } from './checkers.ts'
import type { Happening, HappeningBody } from './history.ts'

const asked: HappeningBody = {
  what: 'asked',
  id: 'r-1',
  life: 'gateway#1',
  key: 'k',
  hash: 'abc',
  timeout: 100,
}
const replied: HappeningBody = { what: 'outcome', id: 'r-1', code: 'reply', sent: 'yes', hash: 'abc' }
const timedOut: HappeningBody = { what: 'outcome', id: 'r-1', code: 'MILENA_TIMEOUT', sent: 'yes' }
const late: HappeningBody = { what: 'late', id: 'r-1', hash: 'abc' }
const gateway = (event: string): HappeningBody => ({ what: 'process', name: 'gateway#1', event })
const handled = (id: string, zombie = false): HappeningBody => ({
  what: 'handled',
  id,
  key: 'k',
  place: '0@0',
  worker: 'worker#1',
  done: true,
  touched: true,
  zombie,
})
const answered = (id: string, topic = 'a topic of its own', offset = 0): HappeningBody => ({
  what: 'answered',
  correlationId: `c-${id}`,
  topic,
  partition: 0,
  offset,
})
const passedOver = (reason: string): HappeningBody => ({
  what: 'passed over',
  correlationId: 'c-r-1',
  reason,
})
const inLog = (id: string, offset = 0): LoggedRequest => ({
  id,
  key: 'k',
  partition: 0,
  offset,
  correlationId: `c-${id}`,
})

type Timed = HappeningBody & { readonly at?: number }

/** What is found when every request in the log was answered besides. */
function found(happenings: readonly Timed[], log: readonly LoggedRequest[] = []): string {
  return foundIn([...happenings, ...log.map(({ id }) => answered(id))], log)
}

function foundIn(happenings: readonly Timed[], log: readonly LoggedRequest[]): string {
  const history = happenings.map((happening): Happening => ({ at: 0, ...happening }))
  const replies = { topic: 'replies', at: new Map([['0@5', 'c-r-1']]) }
  return check({ history, log, replies, unhealed: [], calm: true })
    .map(({ invariant, message }) => `${invariant} ${message}`)
    .join('; ')
}

/** What is found where processes have died: work may be done twice then. */
function foundWithCrashes(...happenings: readonly HappeningBody[]): string {
  const history = happenings.map((happening): Happening => ({ at: 0, ...happening }))
  const replies = { topic: 'replies', at: new Map<string, string>() }
  return check({ history, log: [], replies, unhealed: [], calm: false })
    .map(({ invariant }) => invariant)
    .join()
}

describe('checkers', () => {
  it('find nothing in a history in which all is well', () => {
    assert.equal(found([]), '')
    assert.equal(found([asked, handled('r-1'), { ...replied, at: 50 }], [inLog('r-1')]), '')
    assert.equal(found([asked, { ...timedOut, at: 101 }, { ...late, at: 500 }]), '')
    assert.equal(found([asked, gateway('crash')]), '', 'a crash takes its outcomes along')
  })

  it('find a request without an outcome', () => {
    assert.match(found([asked]), /^I1 r-1 has no outcome$/)
    assert.match(found([asked, gateway('closed')]), /^I1 r-1 has no outcome$/)
  })

  it('find an outcome that came too late, or after its requester had closed', () => {
    assert.match(found([asked, { ...timedOut, at: 102 }]), /^I1 r-1 had its outcome 102 ms after/)
    assert.match(
      found([asked, gateway('closed'), replied]),
      /^I1 r-1 had its outcome \(reply\) after its requester/,
    )
  })

  it('find a request in the log that was said not to be sent', () => {
    const notSent: HappeningBody = { what: 'outcome', id: 'r-1', code: 'MILENA_NOT_SENT', sent: 'no' }
    assert.match(found([asked, handled('r-1'), notSent], [inLog('r-1')]), /^I1 .* is in the log$/)
  })

  it('find a second outcome, also an equal one', () => {
    assert.match(found([asked, timedOut, replied]), /^I2 r-1 has outcomes MILENA_TIMEOUT, reply$/)
    assert.match(found([asked, replied, replied]), /^I2 r-1 has outcomes reply, reply$/)
  })

  it('find a claim that nothing was done of what was handled, before or after, and no other', () => {
    const claimed: HappeningBody = {
      what: 'outcome',
      id: 'r-1',
      code: 'MILENA_REMOTE_ERROR',
      sent: 'yes',
      effect: 'none',
    }
    const lateClaim: HappeningBody = { what: 'late', id: 'r-1', code: 'EXPIRED', effect: 'none' }
    const log = [inLog('r-1')]
    assert.match(found([asked, handled('r-1'), claimed], log), /^I9 r-1 was said to have had no effect/)
    assert.match(found([asked, claimed, handled('r-1')], log), /^I9/)
    assert.match(found([asked, handled('r-1'), timedOut, lateClaim], log), /^I9/)
    assert.equal(found([asked, { ...handled('r-1'), touched: false } as HappeningBody, claimed], log), '')
    assert.equal(found([asked, handled('r-1'), { ...claimed, effect: 'unknown' }], log), '')
  })

  it('let a reply come after an error that left the effect open, and nothing after that', () => {
    const open: HappeningBody = {
      what: 'late',
      id: 'r-1',
      code: 'MILENA_DEADLINE_EXCEEDED',
      effect: 'unknown',
    }
    assert.equal(found([asked, timedOut, open, late]), '')
    assert.match(found([asked, timedOut, late, open]), /^I2 r-1 had 2 late replies$/)
  })

  it('find a late reply that came twice, before the outcome, or after a reply', () => {
    assert.match(found([asked, timedOut, late, late]), /^I2 r-1 had 2 late replies$/)
    assert.match(found([asked, late, { ...timedOut, at: 1 }]), /^I2 .* before it had an outcome$/)
    assert.match(found([asked, replied, late]), /^I2 .* after its outcome was reply$/)
  })

  it('find the reply to another request, in time or late', () => {
    assert.match(found([asked, { ...replied, hash: 'xyz' }]), /^I3 r-1/)
    assert.match(found([asked, timedOut, { ...late, hash: 'xyz' }]), /^I3 r-1/)
  })

  it('find work that is done twice, or answered twice, without need', () => {
    assert.match(found([handled('r-1'), handled('r-1')]), /^I4 r-1 was handled 2 times/)
    assert.match(found([answered('r-1'), answered('r-1')]), /^I4 c-r-1 was answered 2 times/)
  })

  it('find an outcome that gives up although a reply may yet come', () => {
    const unknown: HappeningBody = {
      what: 'outcome',
      id: 'r-1',
      code: 'MILENA_SEND_UNKNOWN',
      sent: 'unknown',
    }
    assert.match(found([asked, unknown]), /^I1 r-1 ended as MILENA_SEND_UNKNOWN/)
  })

  it('find work of one key out of order, but for that of a zombie and for repetitions', () => {
    const log = [inLog('r-1', 0), inLog('r-2', 1)]
    assert.match(found([handled('r-2'), handled('r-1')], log), /^I5 key k/)
    assert.equal(found([handled('r-2'), handled('r-1', true)], log), '')
    assert.doesNotMatch(found([handled('r-1'), handled('r-2'), handled('r-1'), handled('r-2')], log), /I5/)
  })

  it('find a request that vanished from the log, or that nobody handled', () => {
    const acknowledged: HappeningBody = {
      what: 'acknowledged',
      correlationId: 'c-r-1',
      partition: 0,
      offset: 0,
    }
    assert.match(found([acknowledged]), /^I7 the request acknowledged at 0@0 is not there$/)
    assert.match(found([], [inLog('r-1')]), /^I7 r-1, in the log at 0@0, was never handled$/)
    const refused: HappeningBody = {
      what: 'replied',
      correlationId: 'c-r-1',
      code: 'MILENA_DEADLINE_EXCEEDED',
    }
    assert.equal(found([refused], [inLog('r-1')]), '')
    assert.match(found([{ ...refused, code: undefined }], [inLog('r-1')]), /^I7/)
    assert.equal(found([passedOver('reply-undeliverable')], [inLog('r-1')]), '')
    assert.match(found([passedOver('unanswerable')], [inLog('r-1')]), /^I7/)
  })

  it('find a request that is handled again after there was time to commit it', () => {
    const kept: HappeningBody = { what: 'kept', place: '0@0' }
    assert.equal(foundWithCrashes(handled('r-1'), kept, handled('r-1')), 'I10')
    assert.equal(foundWithCrashes(handled('r-1'), kept, handled('r-1', true)), '', 'it had begun before')
    assert.equal(foundWithCrashes(handled('r-1'), handled('r-1'), kept), '')
    assert.equal(foundWithCrashes(handled('r-1'), { what: 'kept', place: '0@1' }, handled('r-1')), '')
  })

  it('find a request that was handled and not answered, and a reply that vanished', () => {
    assert.match(foundIn([handled('r-1')], [inLog('r-1')]), /^I7 r-1, in the log at 0@0, was never answered$/)
    assert.equal(foundIn([handled('r-1'), answered('r-1', 'replies', 5)], [inLog('r-1')]), '')
    assert.match(
      foundIn([handled('r-1'), answered('r-1', 'replies', 6)], [inLog('r-1')]),
      /^I7 the reply acknowledged at 0@6 is not there$/,
    )
  })
})
