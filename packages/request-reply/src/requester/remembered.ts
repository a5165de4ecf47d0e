/**
 * The requests that have their outcome, so that a reply which comes all the same is told apart:
 *
 *   without a reply, or one that says so ─▶ late           with its reply ─▶ duplicate, contradicting
 *   with several ─▶ of a group that had answered, a duplicate; of another one, late
 *
 * All of it is bounded, and what is forgotten is foreign.
 */
import type { RecordPosition } from '../transport/transport.ts'
import { AnsweredRequests, RecentEntries, type ReplySeen } from './memory.ts'
import type { PendingReply } from './pending.ts'

export class RememberedRequests {
  readonly #unanswered: RecentEntries<PendingReply>
  /** Those that had all the replies they waited for. */
  readonly #released: RecentEntries<PendingReply>
  readonly #answered: AnsweredRequests

  /**
   * @param capacity how many of each kind
   * @param maxBytes of those that are kept whole
   * @param onForgotten told of each that had no reply
   */
  constructor(capacity: number, maxBytes: number, onForgotten: () => void) {
    this.#unanswered = new RecentEntries(capacity, maxBytes, onForgotten)
    this.#released = new RecentEntries(capacity, maxBytes, () => undefined)
    this.#answered = new AnsweredRequests(capacity)
  }

  /** Without an answer: what comes is late. With one that is still being read: what comes is a second one. */
  givenUp(pending: PendingReply): void {
    const { id, correlationId, replied, seen, gathering } = pending
    if (replied && seen !== undefined && gathering === undefined)
      this.#answered.add(correlationId, seen.fingerprint, seen.position)
    else this.#unanswered.add(id, pending, bytesOf(pending))
  }

  /** It had all the replies that it waited for. */
  released(pending: PendingReply): void {
    this.#released.add(pending.id, pending, bytesOf(pending))
  }

  /** What comes after this reply is a second one. */
  answered(correlationId: Buffer, fingerprint: number, at: RecordPosition): void {
    this.#answered.add(correlationId, fingerprint, at)
  }

  /** It has its answer, after all. */
  answeredLate({ id, correlationId }: PendingReply, fingerprint: number, at: RecordPosition): void {
    this.#unanswered.take(id)
    this.#answered.add(correlationId, fingerprint, at)
  }

  /** This error may not be the last that is heard of it. */
  keepOpen(pending: PendingReply, seen: ReplySeen): void {
    pending.seen = seen
    this.#unanswered.add(pending.id, pending, pending.bytes)
  }

  /**
   * A request that was given up, or answered with an error that left its effect open; or one that wanted several replies.
   * It is remembered anew.
   */
  unanswered(id: string): PendingReply | undefined {
    return again(this.#unanswered, id) ?? again(this.#released, id)
  }

  /** The reply that this request had. */
  answerTo(id: string): ReplySeen | undefined {
    return this.#answered.find(id)
  }
}

function again(entries: RecentEntries<PendingReply>, id: string): PendingReply | undefined {
  const pending = entries.take(id)
  if (pending !== undefined) entries.add(id, pending, bytesOf(pending))
  return pending
}

function bytesOf({ bytes, gathering }: PendingReply): number {
  return gathering === undefined ? bytes : bytes + gathering.rememberedBytes
}
