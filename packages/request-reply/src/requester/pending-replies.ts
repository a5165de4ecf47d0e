/**
 * The requests that wait for their outcome, and how each comes to it.
 *
 * Whoever takes an entry out of the map gives it its outcome, and an entry can be taken out only once: hence exactly
 * one outcome. What was given up is remembered, within bounds, so that a reply that comes all the same is told apart.
 */
import type { Clock } from '../clock.ts'
import { requestAccepted, requestFailed, requestTimedOut } from '../diagnostics.ts'
import { PassingMap } from '../passing-map.ts'
import { Deadlines } from './deadlines.ts'
import { Drain } from './drain.ts'
import { RecentEntries, RecentIds } from './memory.ts'
import { abandoned, cancelled, timedOut } from './outcome-errors.ts'
import { stepOf, type PendingReply } from './pending.ts'
import type { RequesterCounters } from './stats.ts'

export interface PendingRepliesOptions {
  readonly instanceId: string
  readonly clock: Clock
  /** How many entries with an outcome are remembered, and how many bytes of requests without a reply. */
  readonly remember: number
  readonly maxPendingBytes: number
}

export class PendingReplies {
  readonly #options: PendingRepliesOptions
  readonly #counters: RequesterCounters
  readonly #pending = new PassingMap<string, PendingReply>()
  readonly #deadlines: Deadlines<PendingReply>
  readonly #unanswered: RecentEntries<PendingReply>
  readonly #answered: RecentIds
  readonly #drain: Drain
  #bytes = 0

  constructor(options: PendingRepliesOptions, counters: RequesterCounters) {
    this.#options = options
    this.#counters = counters
    this.#deadlines = new Deadlines(options.clock, (pending) => this.#expire(pending))
    this.#unanswered = new RecentEntries(options.remember, options.maxPendingBytes)
    this.#answered = new RecentIds(options.remember)
    this.#drain = new Drain(options.clock)
  }

  get size(): number {
    return this.#pending.size
  }

  /** Bytes of the pending requests' keys, values and headers. */
  get bytes(): number {
    return this.#bytes
  }

  /** Milliseconds since the oldest was accepted; 0 when there is none. */
  get oldestAge(): number {
    const oldest: PendingReply | undefined = this.#pending.values().next().value
    return oldest === undefined ? 0 : this.#options.clock.monotonic() - oldest.acceptedAt
  }

  /** From now on the request is accepted: it ends in one outcome. */
  register(pending: PendingReply, timeout: number, signal: AbortSignal | undefined): void {
    this.#pending.set(pending.id, pending)
    this.#bytes += pending.bytes
    this.#counters.accepted++
    this.#deadlines.add(pending, timeout)
    if (signal !== undefined) {
      const onAbort = (): void => this.#cancel(pending, signal)
      signal.addEventListener('abort', onAbort, { once: true })
      pending.unlisten = () => signal.removeEventListener('abort', onAbort)
    }
    if (requestAccepted.hasSubscribers) requestAccepted.publish(stepOf(pending, this.#options.instanceId))
  }

  get(id: string): PendingReply | undefined {
    return this.#pending.get(id)
  }

  /** Takes the entry out for an answer; false when it has its outcome already. */
  takeAnswered(pending: PendingReply): boolean {
    if (!this.#take(pending)) return false
    this.#answered.add(pending.id)
    return true
  }

  /** A request that was given up, for the reply that has come after all; forgotten by that. */
  takeUnanswered(id: string): PendingReply | undefined {
    const pending = this.#unanswered.take(id)
    if (pending !== undefined) this.#answered.add(id)
    return pending
  }

  /** Whether this request had its answer. */
  wasAnswered(id: string): boolean {
    return this.#answered.has(id)
  }

  /** Ends a request that was certainly not sent. */
  failUnsent(pending: PendingReply, error: Error): void {
    if (!this.#take(pending)) return
    this.#counters.failed++
    this.reject(pending, error)
  }

  /** Gives an entry that was taken out its error. */
  reject(pending: PendingReply, error: Error): void {
    if (requestFailed.hasSubscribers) {
      requestFailed.publish({ ...stepOf(pending, this.#options.instanceId), error })
    }
    pending.reject(error)
  }

  /** Resolves when nothing is pending, at the latest after `timeout` ms. */
  drain(timeout: number): Promise<void> {
    return this.#pending.size === 0 ? Promise.resolve() : this.#drain.wait(timeout)
  }

  /** Ends what is still pending, and every timer. */
  close(): void {
    for (const pending of this.#pending.values()) {
      this.#take(pending)
      this.#counters.abandoned++
      this.reject(pending, abandoned(pending))
    }
    this.#deadlines.close()
  }

  #take(pending: PendingReply): boolean {
    if (!this.#pending.delete(pending.id)) return false
    this.#bytes -= pending.bytes
    this.#deadlines.remove(pending)
    pending.unlisten?.()
    pending.unlisten = undefined
    if (this.#pending.size === 0) this.#drain.empty()
    return true
  }

  #expire(pending: PendingReply): void {
    if (!this.#take(pending)) return
    this.#counters.timedOut++
    this.#giveUp(pending)
    const error = timedOut(pending)
    if (requestTimedOut.hasSubscribers) {
      requestTimedOut.publish({ ...stepOf(pending, this.#options.instanceId), error })
    }
    pending.reject(error)
  }

  #cancel(pending: PendingReply, signal: AbortSignal): void {
    if (!this.#take(pending)) return
    this.#counters.cancelled++
    this.#giveUp(pending)
    this.reject(pending, cancelled(pending, signal))
  }

  /** Without an answer: what comes is late. With one that is still being validated: what comes is a duplicate. */
  #giveUp(pending: PendingReply): void {
    if (pending.replied) this.#answered.add(pending.id)
    else this.#unanswered.add(pending.id, pending, pending.bytes)
  }
}
