import { Durations, type DurationSummary } from '../durations.ts'
import type { OldestInHand } from './health.ts'

/** Why a record was passed over without a reply. */
export type PassedOverReason =
  /** It names a reply topic and has no correlation id, or has headers that do not parse. */
  | 'unanswerable'
  /** It names a reply topic that is not allowed. */
  | 'reply-topic-refused'
  /** The brokers will never take the reply: no such topic or partition, no right, too large. */
  | 'reply-undeliverable'
  /** No handler for its operation, and nobody to be told, or `unknownOperations: 'ignore'`. */
  | 'operation-unknown'
  /** A one-way request whose handling has failed: there is nobody to be told. */
  | 'failed-one-way'
  /** It was given up and is kept as a dead letter, and there is nobody to be told. */
  | 'dead-lettered'
  /** A stretch of a log that cannot be read: damaged, or larger than what may become of it in memory. */
  | 'unreadable'
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
  /** Tries that are made again in place, after a pause (the outcome `later`). */
  readonly retried: number
  /** Records that were handed over: to a retry topic, or to whoever else sends their reply. */
  readonly handedOver: number
  /** Replies that the brokers have acknowledged, error replies included. */
  readonly replied: number
  /** Error replies that the brokers have acknowledged, by code. */
  readonly errorReplies: Readonly<Record<string, number>>
  /** Records that were passed over without a reply, by reason. */
  readonly passedOver: Readonly<Partial<Record<PassedOverReason, number>>>
  /**
   * Records that were read and are not yet finished, and what they take: their bytes, those of their replies until
   * they are acknowledged, and what their objects take (`maxInHandBytes`).
   */
  readonly inHand: number
  readonly inHandBytes: number
  /** Of those in hand, records of retry topics whose time has not come. */
  readonly delayed: number
  /**
   * Records in this replier's partitions that are not finished: those in hand, and those that stand in the log and were
   * not read yet, by the brokers' last answers. `undefined` while that is not known, or where the transport cannot say.
   */
  readonly lag: number | undefined
  /** Handlers that run now. */
  readonly running: number
  /** Partitions whose reading is paused because too much is in hand. */
  readonly paused: number
  /** Replies that were given to the transport, or wait to be sent again, and that the brokers have not acknowledged. */
  readonly unacknowledged: number
  /** Records, and bytes, that the transport has and has not settled: replies, and whatever else goes over it. */
  readonly sending: { readonly records: number; readonly bytes: number }
  /** The request that was read first of those that are not finished. */
  readonly oldestInHand: OldestInHand | undefined
  /** Records finished here that a commit has covered: by its offset, or by the metadata beside it. */
  readonly committed: number
  /** Commits that have failed; each is made again. */
  readonly commitFailures: number
  /** Handlers whose slot and lane were let go of while they ran (`leaveBehind`). */
  readonly leftBehind: number
  /**
   * Records that came again though they were finished, here or by their partition's former owner as its commit says, and
   * were not handled again.
   */
  readonly repeated: number
  /** Requests that were expired by the requester's clock, and were not by what is known of their age. */
  readonly clockDisagreements: number
  /** Milliseconds that handlers took. */
  readonly handlerDuration: DurationSummary
  /** By operation. */
  readonly operations: Readonly<Record<string, ReplierOperationStats>>
}

/** What the requests of one operation took, in milliseconds. */
export interface ReplierOperationStats {
  /** From when they were read to their turn: for their key, and for a slot. */
  readonly waited: DurationSummary
  /** From their turn to their outcome: middleware, handler, validation. */
  readonly handled: DurationSummary
  /** From their outcome to the acknowledgement of their reply. */
  readonly delivered: DurationSummary
}

/** The durations behind `ReplierOperationStats`. */
export class OperationDurations {
  readonly waited: Durations = new Durations()
  readonly handled: Durations = new Durations()
  readonly delivered: Durations = new Durations()

  summary(): ReplierOperationStats {
    return {
      waited: this.waited.summary(),
      handled: this.handled.summary(),
      delivered: this.delivered.summary(),
    }
  }
}

/** The most error codes that are counted apart; a handler's codes are the application's, and may be many. */
const mostCodes = 100

/** The counters behind `ReplierStats`. */
export class ReplierCounters {
  received = 0
  redelivered = 0
  handled = 0
  retried = 0
  handedOver = 0
  replied = 0
  committed = 0
  commitFailures = 0
  leftBehind = 0
  repeated = 0
  clockDisagreements = 0
  /** Those that have a handler, so there are as many as the application has defined. */
  readonly operations: Map<string, OperationDurations> = new Map()
  readonly errorReplies: Map<string, number> = new Map()
  readonly passedOver: Map<PassedOverReason, number> = new Map()
  readonly handlerDurations: Durations = new Durations()

  durationsOf(operation: string): OperationDurations {
    let durations = this.operations.get(operation)
    if (durations === undefined) this.operations.set(operation, (durations = new OperationDurations()))
    return durations
  }

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
