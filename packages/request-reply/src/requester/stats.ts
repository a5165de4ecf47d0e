import type { DurationSummary } from '../durations.ts'
import type { ReplyAddress } from '../wire/profile.ts'

/** What a requester has done since it was opened. */
export interface RequesterStats {
  readonly instanceId: string
  /** The routing's name and where the next reply is to go. */
  readonly routing: string
  readonly replyAddress: ReplyAddress
  /** Requests that wait for their reply now, the bytes of their keys, values and headers, and the oldest one's age in milliseconds. */
  readonly pending: number
  readonly pendingBytes: number
  readonly oldestPending: number
  /** Requests that were given a place among the pending. Each ends in exactly one of the six that follow. */
  readonly accepted: number
  readonly replied: number
  /** Answered with an error by the replier. */
  readonly remoteErrors: number
  readonly timedOut: number
  readonly cancelled: number
  /** Ended for another reason: not sent, an unreadable reply. */
  readonly failed: number
  /** Still pending when the requester was closed. */
  readonly abandoned: number
  /** Never accepted: overloaded. */
  readonly rejected: number
  /** Replies to requests that had timed out or were cancelled. */
  readonly late: number
  /** Second replies. */
  readonly duplicate: number
  /** Replies to other instances' requests, passed over. */
  readonly foreign: number
  /** All records read from reply topics, and their bytes. */
  readonly recordsRead: number
  readonly bytesRead: number
  /** Those of them that were replies to this instance's requests, late and duplicate ones included. */
  readonly ownRecordsRead: number
  readonly ownBytesRead: number
  /** From acceptance to the reply's arrival, in milliseconds, of replies and error replies. */
  readonly roundTrip: DurationSummary
}

/** The counters behind `RequesterStats`. */
export interface RequesterCounters {
  accepted: number
  replied: number
  remoteErrors: number
  timedOut: number
  cancelled: number
  failed: number
  abandoned: number
  rejected: number
  late: number
  duplicate: number
  foreign: number
  recordsRead: number
  bytesRead: number
  ownRecordsRead: number
  ownBytesRead: number
}

export function createCounters(): RequesterCounters {
  return {
    accepted: 0,
    replied: 0,
    remoteErrors: 0,
    timedOut: 0,
    cancelled: 0,
    failed: 0,
    abandoned: 0,
    rejected: 0,
    late: 0,
    duplicate: 0,
    foreign: 0,
    recordsRead: 0,
    bytesRead: 0,
    ownRecordsRead: 0,
    ownBytesRead: 0,
  }
}
