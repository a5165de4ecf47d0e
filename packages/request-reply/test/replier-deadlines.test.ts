/** The deadline by the replier's own clock, with the requester's clock ahead, behind, and lying. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deadlines, type DeadlinesOptions, type Reading } from '../src/replier/deadlines.ts'
import type { Failure } from '../src/replier/failures.ts'
import { ReplierCounters } from '../src/replier/stats.ts'
import { warningsOf } from './warned.ts'
import type { IncomingRecord } from '../src/transport/transport.ts'
import type { RawHeader } from '../src/wire/headers.ts'
import { deadlineHeader, timeoutHeader } from '../src/wire/milena.ts'
import { ManualClock } from './manual-clock.ts'

interface Bench {
  readonly clock: ManualClock
  readonly deadlines: {
    of(headers: readonly RawHeader[], reading: Reading): number | undefined
    refusal(
      record: IncomingRecord,
      deadline: number | undefined,
      appendedAfter: number | undefined,
    ): Failure | undefined
  }
  readonly counters: ReplierCounters
  readonly warned: Readonly<Record<string, unknown>>[]
}

function setUp(options: Partial<DeadlinesOptions> = {}): Bench {
  const clock = new ManualClock()
  const counters = new ReplierCounters()
  const warned: Readonly<Record<string, unknown>>[] = []
  const warnings = warningsOf(clock, (_message, details) => void warned.push(details))
  const inner = new Deadlines({
    clock,
    tolerance: 1_000,
    maxAge: undefined,
    counters,
    warnings,
    ...options,
  })
  const deadlines: Bench['deadlines'] = {
    of: (headers, reading) => inner.of(headers, reading, clock.now()),
    refusal: (one, deadline, appendedAfter) => inner.refusal(one, deadline, appendedAfter, clock.now()),
  }
  return { clock, deadlines, counters, warned }
}

/** What a requester whose clock is `ahead` of ours by so much writes, `ago` ms ago. */
function stated(clock: ManualClock, ahead: number, timeout: number | undefined, ago = 0): RawHeader[] {
  const headers = [deadlineHeader(clock.now() - ago + ahead + (timeout ?? 5_000))]
  return timeout === undefined ? headers : [...headers, timeoutHeader(timeout)]
}

const header = (name: string, digits: string): RawHeader => [Buffer.from(name), Buffer.from(digits)]

const record: IncomingRecord = {
  topic: 't',
  partition: 0,
  offset: 0,
  key: null,
  value: null,
  headers: [],
  timestamp: -1,
  size: 0,
}

test('deadline: clocks that agree change nothing', () => {
  const { clock, deadlines, counters } = setUp()
  const now = clock.monotonic()
  const at = deadlines.of(stated(clock, 0, 5_000), { receivedAt: now, appendedAfter: now - 10 })
  assert.equal(at, clock.now() + 5_000)
  assert.equal(counters.clockDisagreements, 0)
  assert.equal(deadlines.of([], { receivedAt: now, appendedAfter: now }), undefined)
})

test('deadline: a requester whose clock is ahead is not waited for longer than its timeout', () => {
  const { clock, deadlines } = setUp()
  const now = clock.monotonic()
  assert.equal(
    deadlines.of(stated(clock, 60_000, 5_000), { receivedAt: now - 100, appendedAfter: undefined }),
    clock.now() + 4_900,
  )
})

test('deadline: a requester whose clock is behind is handled, until its timeout is over here', async () => {
  const { clock, deadlines, counters, warned } = setUp()
  const now = clock.monotonic()
  const reading = { receivedAt: now - 10, appendedAfter: now - 200 }
  const headers = stated(clock, -6_000, 5_000)
  const at = deadlines.of(headers, reading)
  assert.equal(at, clock.now() + 4_800)
  assert.equal(deadlines.refusal(record, at, reading.appendedAfter), undefined)
  assert.equal(counters.clockDisagreements, 1)
  assert.deepEqual(warned, [{ requests: 1, differByAtLeast: 5_800 }])
  // When the timeout is over by our own clock, it is.
  await clock.advance(4_801)
  assert.equal(deadlines.of(headers, reading), clock.now() - 4_801)
  assert.equal(deadlines.refusal(record, at, reading.appendedAfter)?.code, 'MILENA_DEADLINE_EXCEEDED')
})

test('deadline: that clocks differ is told once a minute, with the largest difference since', async () => {
  const { clock, deadlines, counters, warned } = setUp()
  const read = (behind: number): unknown => {
    const now = clock.monotonic()
    return deadlines.of(stated(clock, -behind, 1_000), { receivedAt: now, appendedAfter: now })
  }
  read(2_000)
  read(9_000)
  await clock.advance(59_999)
  read(3_000)
  assert.equal(warned.length, 1)
  await clock.advance(1)
  read(4_000)
  assert.equal(counters.clockDisagreements, 4)
  assert.deepEqual(warned.at(-1), { requests: 3, differByAtLeast: 9_000 })
})

test('deadline: in a backlog, or without a timeout, the tolerance is all there is', () => {
  const { clock, deadlines, counters } = setUp()
  const now = clock.monotonic()
  const backlog = { receivedAt: now, appendedAfter: undefined }
  const old = deadlines.of(stated(clock, 0, 5_000, 5_900), backlog)
  assert.equal(old, clock.now() + 100)
  assert.equal(deadlines.refusal(record, old, undefined), undefined)
  const older = deadlines.of(stated(clock, 0, 5_000, 6_001), backlog)
  assert.equal(deadlines.refusal(record, older, undefined)?.code, 'MILENA_DEADLINE_EXCEEDED')
  const silent = deadlines.of(stated(clock, -5_500, undefined), { receivedAt: now, appendedAfter: now })
  assert.equal(silent, clock.now() + 500)
  // Evidence that is older than the timeout says nothing.
  const quiet = deadlines.of(stated(clock, 0, 5_000, 5_500), { receivedAt: now, appendedAfter: now - 6_000 })
  assert.equal(quiet, clock.now() + 500)
  assert.equal(counters.clockDisagreements, 0)
})

test('deadline: forged values give a deadline, and harm only their own request', () => {
  const { clock, deadlines, counters } = setUp()
  const now = clock.monotonic()
  const live = { receivedAt: now, appendedAfter: now - 10 }
  const far = deadlines.of([header('milena-deadline', '9'.repeat(16))], live)!
  assert.ok(Number.isFinite(far) && far > clock.now())
  const long = [header('milena-deadline', '9'.repeat(16)), header('milena-timeout', '9'.repeat(10))]
  assert.equal(deadlines.of(long, live), clock.now() + 9_999_999_999)
  // Expired since 1970, with a timeout of a hundred days: handled, as any request without a deadline would be.
  const past = [header('milena-deadline', '0'), header('milena-timeout', '9'.repeat(10))]
  assert.equal(deadlines.of(past, live), clock.now() + 9_999_999_989)
  assert.equal(counters.clockDisagreements, 1)
  assert.equal(deadlines.of([header('milena-timeout', '0')], live), clock.now())
  for (const digits of ['', '-1', '1e9', ' 1', '9'.repeat(17)])
    assert.equal(deadlines.of([header('milena-deadline', digits)], live), undefined)
})

test('maxAge: an older record is refused; evidence of its youth beats its timestamp', () => {
  const { clock, deadlines } = setUp({ maxAge: 1_000 })
  const aged = (age: number): IncomingRecord => ({ ...record, timestamp: clock.now() - age })
  assert.equal(deadlines.refusal(aged(1_000), undefined, undefined), undefined)
  const refused = deadlines.refusal(aged(1_001), undefined, undefined)
  assert.equal(refused?.code, 'MILENA_REQUEST_TOO_OLD')
  assert.match(refused.message, /1001 ms old.*this delivery did nothing/)
  assert.equal(deadlines.refusal(aged(60_000), undefined, clock.monotonic() - 500), undefined)
  assert.equal(deadlines.refusal(record, undefined, undefined), undefined)
  assert.equal(deadlines.refusal(aged(-9e12), undefined, undefined), undefined)
})
