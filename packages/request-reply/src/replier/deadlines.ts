/**
 * Until when a request is worth doing, by this replier's clock. The requester's clock may be another one, so its word is
 * held against what is known here:
 *
 *     appendedAfter ──── the record came into the log ──── receivedAt            (both by our clock)
 *         + timeout = `earliest`                               + timeout = `latest`
 *
 * Later than `latest` nobody waits, whatever the deadline in the header says. And when that says "expired" before
 * `earliest`, the clocks differ (or the request waited that long before it was sent): it is handled, until `earliest`.
 * A deadline that has passed counts with a tolerance, never longer than the timeout: the same one at every delivery, so
 * that a request which was refused at one is not begun at the next, after those that came behind it.
 */
import type { Clock } from '../clock.ts'
import { remoteCodes } from '../errors.ts'
import type { IncomingRecord } from '../transport/transport.ts'
import type { RawHeader } from '../wire/headers.ts'
import { readDeadline, readTimeout } from '../wire/milena.ts'
import type { Failure } from './failures.ts'
import type { ReplierCounters } from './stats.ts'
import type { Warnings } from '../warnings.ts'

/** Milliseconds between two warnings that clocks differ. */
const warningPause = 60_000

export interface DeadlinesOptions {
  readonly clock: Clock
  /** Milliseconds by which a deadline may be over before it counts. */
  readonly tolerance: number
  /** The oldest record that is handled, in milliseconds. */
  readonly maxAge: number | undefined
  readonly counters: ReplierCounters
  readonly warnings: Warnings
}

/** When a record was read, and when it certainly was not in the log yet; as `RequestRun` has them. */
export interface Reading {
  readonly receivedAt: number
  readonly appendedAfter: number | undefined
}

export class Deadlines {
  readonly #options: DeadlinesOptions
  #toldAt = Number.NEGATIVE_INFINITY
  #largest = 0
  #untold = 0

  constructor(options: DeadlinesOptions) {
    this.#options = options
  }

  /**
   * The request's deadline in milliseconds since the Unix epoch, by our clock; `undefined` when it states none.
   *
   * @param now by our clock
   * @param passed the same moment in `Clock.monotonic` milliseconds
   */
  of(
    headers: readonly RawHeader[],
    reading: Reading,
    now: number,
    passed: number = this.#options.clock.monotonic(),
  ): number | undefined {
    const stated = readDeadline(headers)
    const timeout = readTimeout(headers)
    if (stated === undefined && timeout === undefined) return undefined
    const { receivedAt, appendedAfter } = reading
    const latest = timeout === undefined ? Number.POSITIVE_INFINITY : now - (passed - receivedAt) + timeout
    const deadline = Math.ceil(Math.min(stated ?? latest, latest))
    if (stated === undefined || now <= deadline) return deadline
    const tolerated = deadline + Math.min(this.#options.tolerance, timeout ?? Number.POSITIVE_INFINITY)
    if (now <= stated || timeout === undefined || appendedAfter === undefined) return tolerated
    const earliest = Math.ceil(now - (passed - appendedAfter) + timeout)
    if (earliest <= now) return tolerated
    this.#disagree(earliest - stated, passed)
    return Math.max(tolerated, earliest)
  }

  /** Why a request is not begun any more, if so. @param attempt which try it would be of this record here */
  refusal(
    record: IncomingRecord,
    deadline: number | undefined,
    appendedAfter: number | undefined,
    now: number,
    attempt = 1,
  ): Failure | undefined {
    const { maxAge } = this.#options
    if (deadline !== undefined && now > deadline) {
      const message =
        attempt === 1
          ? 'the deadline had passed before the work began; this delivery did nothing'
          : `the deadline had passed before try ${attempt} began; what those before it have done is not known`
      return { code: remoteCodes.deadlineExceeded, message }
    }
    if (maxAge === undefined) return undefined
    const age = this.#age(record, appendedAfter, now)
    if (age <= maxAge) return undefined
    const message = `the request is ${Math.floor(age)} ms old by its timestamp, and at most ${maxAge} ms are taken; this delivery did nothing`
    return { code: remoteCodes.requestTooOld, message }
  }

  /** By its timestamp, which another clock has set; never more than is known here. A record without one has no age. */
  #age({ timestamp }: IncomingRecord, appendedAfter: number | undefined, now: number): number {
    if (timestamp < 0) return 0
    const age = now - timestamp
    return appendedAfter === undefined ? age : Math.min(age, this.#options.clock.monotonic() - appendedAfter)
  }

  #disagree(atLeast: number, passed: number): void {
    const { counters, warnings } = this.#options
    counters.clockDisagreements++
    this.#untold++
    if (atLeast > this.#largest) this.#largest = atLeast
    if (passed - this.#toldAt < warningPause) return
    warnings.tell(
      'requests are expired by their deadline, and came into the log less than their timeout ago: the clocks of requester and replier differ, or these requests waited that long before they were sent; they are handled',
      { requests: this.#untold, differByAtLeast: this.#largest },
    )
    this.#toldAt = passed
    this.#untold = 0
    this.#largest = 0
  }
}
