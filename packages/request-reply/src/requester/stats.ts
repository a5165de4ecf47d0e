import type { DurationSummary } from '../durations.ts'
import type { MilenaError } from '../errors.ts'
import type { JournalStats } from '../journal/journal.ts'
import type { Trouble } from '../transport/transport.ts'
import type { ReplyAddress } from '../wire/profile.ts'
import type { RequesterOperationStats, OutcomeCounts } from './operation-accounts.ts'

/** What a requester holds at this moment. */
export interface RequesterHoldings {
  /** Requests that wait for their reply now, the bytes of their keys, values and headers and of what `requestMany` has gathered, and the oldest one's age in milliseconds. */
  readonly pending: number
  readonly pendingBytes: number
  readonly oldestPending: number
  /** Requests that cannot be sent yet: their topic, their schema or codec, or an earlier one of their key is being waited for. */
  readonly preparing: number
  /**
   * Requests that the transport has not let go of, and their bytes: those that are on their way, with or without an
   * outcome. They count against `maxPending` and `maxPendingBytes`.
   */
  readonly sending: number
  readonly sendingBytes: number
  /** Of a requester that has one. */
  readonly journal?: JournalHealth
}

/** What a requester has of an earlier process's requests. */
export interface RecoveryCounts {
  /** Those that wait for their reply or their deadline, or are being handed over. */
  readonly recovering: number
  /** Those that `onRecovered` is done with, and those that are left in the journal, for the next start. */
  readonly recovered: number
  readonly left: number
  /** Requests of this process that have their outcome, and `beforeFinish` is not done with it. */
  readonly finishing: number
}

/** How a requester's journal is. */
export interface JournalHealth extends RecoveryCounts, JournalStats {
  /** The store's name. */
  readonly store: string
  /** Somebody else has taken it: nothing is accepted any more. */
  readonly taken: MilenaError | undefined
}

/** How it is with one of a requester's reply topics: what is in its way concerns the requests that are answered there. */
export interface ReplyTopicHealth extends ReplyAddress {
  readonly receiving: boolean
  readonly troubles: readonly Trouble[]
}

/** How a requester is. */
export interface RequesterHealth extends RequesterHoldings {
  /** Whether requests are accepted, and replies can be received. While they cannot, new requests are refused, or wait, unsent (`whileNotReceiving`). */
  readonly receiving: boolean
  /** What stands in the way of receiving them, and since when; empty when all is well. Of all reply topics. */
  readonly troubles: readonly Trouble[]
  /** Each reply topic by itself, the default one first: one without troubles goes on while another has some. */
  readonly replyTopics: readonly ReplyTopicHealth[]
}

/** What became of requests that were sent one way; those that are on their way are in none of the last two. */
export interface OneWayCounts {
  readonly accepted: number
  readonly acknowledged: number
  /** Certainly not in the log, or it is not known whether they are. */
  readonly failed: number
}

/** What a requester has done since it was opened. */
export interface RequesterStats extends RequesterHoldings, OutcomeCounts {
  readonly instanceId: string
  /** The routing's name, or several, and where the next reply is to go. */
  readonly routing: string
  readonly replyAddress: ReplyAddress
  /** Where replies can go: of each reply topic, the default one first. */
  readonly replyAddresses: readonly ReplyAddress[]
  /** Never accepted, for whatever reason: overloaded, invalid, closed, not receiving, its topic missing. */
  readonly rejected: number
  /** Of `send`. */
  readonly oneWay: OneWayCounts
  /** Replies to requests that had timed out or were cancelled, or were answered with an error that left their effect open; to `requestMany` that had its outcome. */
  readonly late: number
  /** Second replies with the content of the first; of `requestMany`, of the same group. */
  readonly duplicate: number
  /** Second replies with another content: two repliers, or two deliveries, disagree. A warning, at most once a second. */
  readonly contradicting: number
  /** Replies to other instances' requests, or to forgotten ones; passed over. */
  readonly foreign: number
  /** Requests without a reply that are not remembered any more (`remember`, `maxPendingBytes`): a late reply to them counts as foreign. */
  readonly forgotten: number
  /** Stretches of the reply topic that could not be read; replies may have stood there. */
  readonly unreadable: number
  /** All records read from reply topics, and their bytes. */
  readonly recordsRead: number
  readonly bytesRead: number
  /** Those of them that were replies to this instance's requests, late and duplicate ones included. */
  readonly ownRecordsRead: number
  readonly ownBytesRead: number
  /** From acceptance to the reply's arrival, in milliseconds, of replies and error replies. */
  readonly roundTrip: DurationSummary
  /** By operation's name. Beyond 100 names, further ones are counted together as `(others)`. */
  readonly operations: Readonly<Record<string, RequesterOperationStats>>
}

/** The counters behind `RequesterStats` that are not kept by operation. */
export interface RequesterCounters {
  rejected: number
  late: number
  duplicate: number
  contradicting: number
  foreign: number
  forgotten: number
  unreadable: number
  recordsRead: number
  bytesRead: number
  ownRecordsRead: number
  ownBytesRead: number
}

export function createCounters(): RequesterCounters {
  return {
    rejected: 0,
    late: 0,
    duplicate: 0,
    contradicting: 0,
    foreign: 0,
    forgotten: 0,
    unreadable: 0,
    recordsRead: 0,
    bytesRead: 0,
    ownRecordsRead: 0,
    ownBytesRead: 0,
  }
}
