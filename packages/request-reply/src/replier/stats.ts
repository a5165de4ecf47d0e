import { Durations, type DurationSummary } from '../durations.ts'

/** Why a record was passed over without a reply. */
export type PassedOverReason =
  /** No correlation id, or headers that do not parse. */
  | 'unanswerable'
  /** It names no reply topic, and its operation has no `replyTo`. */
  | 'no-reply-address'
  /** It names a reply topic that is not allowed. */
  | 'reply-topic-refused'
  /** The brokers will never take the reply: no such topic or partition, no right, too large. */
  | 'reply-undeliverable'
  /** A fault of the library itself. */
  | 'internal'

/** What a replier has done since it was started. */
export interface ReplierStats {
  readonly groupId: string
  /** Partitions that are assigned to this replier now. */
  readonly partitions: number
  /** Records that were read. */
  readonly received: number
  /** Those of them that had been read here before: after a rebalance, or after the partition was lost. */
  readonly redelivered: number
  /** Handlers that have ended, well or not. */
  readonly handled: number
  /** Replies that the brokers have acknowledged, error replies included. */
  readonly replied: number
  /** Error replies that the brokers have acknowledged, by code. */
  readonly errorReplies: Readonly<Record<string, number>>
  /** Records that were passed over without a reply, by reason. */
  readonly passedOver: Readonly<Partial<Record<PassedOverReason, number>>>
  /** Records, and their bytes, that were read and are not yet finished. */
  readonly inHand: number
  readonly inHandBytes: number
  /** Handlers that run now. */
  readonly running: number
  /** Partitions whose reading is paused because too much is in hand. */
  readonly paused: number
  /** Finished records that a commit has covered. */
  readonly committed: number
  /** Milliseconds that handlers took. */
  readonly handlerDuration: DurationSummary
}

/** The most error codes that are counted apart; a handler's codes are the application's, and may be many. */
const mostCodes = 100

/** The counters behind `ReplierStats`. */
export class ReplierCounters {
  received = 0
  redelivered = 0
  handled = 0
  replied = 0
  committed = 0
  readonly errorReplies: Map<string, number> = new Map()
  readonly passedOver: Map<PassedOverReason, number> = new Map()
  readonly handlerDurations: Durations = new Durations()

  countErrorReply(code: string): void {
    const known = this.errorReplies.has(code) || this.errorReplies.size < mostCodes
    count(this.errorReplies, known ? code : 'others')
  }

  countPassedOver(reason: PassedOverReason): void {
    count(this.passedOver, reason)
  }
}

function count<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
