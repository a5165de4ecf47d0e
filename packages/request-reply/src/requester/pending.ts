/**
 * A pending reply: what a requester keeps of a request from its preparation until it is forgotten.
 *
 *   prepared ──register──▶ pending ──its one outcome──▶ ended
 *                            │ │ ▲
 *                     dispatch └─┘ again, for a retry
 *
 * One object for all of it, since there is one for each request: what is only known later has a place from the start.
 */
import type { AnyOperation } from '../contract/operation.ts'
import type { RequestStep, RequestTrace } from '../diagnostics.ts'
import type { MilenaError, RequestFacts } from '../errors.ts'
import type { OutgoingRecord, RecordPosition } from '../transport/transport.ts'
import type { RawHeader } from '../wire/headers.ts'
import type { DeadlineEntry, DeadlineQueue } from './deadlines.ts'
import type { Gathered } from './gathered.ts'
import type { Gathering } from './gathering.ts'
import type { ReplySeen } from './memory.ts'
import type { OperationAccount } from './operation-accounts.ts'
import type { Reply } from './reply.ts'

/** What `register` was told to do with each reply; `more`: the request stays pending. */
export type OnReply = (outcome: Reply<never> | MilenaError) => 'done' | 'more'

const none: readonly RawHeader[] = []
const nobody = Buffer.alloc(0)

export class PendingReply implements DeadlineEntry {
  readonly operation: AnyOperation
  readonly account: OperationAccount
  /** As it was given. */
  readonly request: unknown
  /** It is sent one way: no reply is waited for. */
  readonly oneWay: boolean

  /** The caller's options, read once. */
  timeout = 0
  /** In milliseconds since the Unix epoch. */
  deadline: number | undefined = undefined
  signal: AbortSignal | undefined = undefined
  /** The partition that the caller has chosen. */
  partition: number | undefined = undefined
  /** The reply topic that the caller has chosen; `undefined`: the default one. */
  replyTopic: string | undefined = undefined

  /** What goes into the record, in memory of its own. `headers`: the caller's and the codec's. */
  key: Buffer | null = null
  value: Buffer | null = null
  headers: readonly RawHeader[] = none
  /** What makes doing it again harmless, where there is something. */
  idempotencyKey: string | undefined = undefined
  /** Of the request topic; needed when the record is made. */
  partitions = 0
  /** Milliseconds of the timeout that its preparation took. */
  spent = 0

  stage: 'prepared' | 'pending' | 'ended' = 'prepared'
  correlationId: Buffer = nobody
  /** The correlation id as a map's key: one character for each byte. */
  id = ''
  /** What goes out; let go of with the outcome. */
  record: OutgoingRecord | undefined = undefined
  /** Of key, value and headers. */
  bytes = 0
  /** On the monotonic clock. */
  acceptedAt = 0
  /** It stands in the journal, or may; its entry is being written; the journal still needs it, which counts against the caps. */
  journaled = false
  writing = false
  held = false
  /** The request's own methods are called by its caller: a send that fails is the caller's to see. */
  staged = false

  /** How often it was dispatched, and how many of these the transport has not let go of. */
  attempts = 0
  inFlight = 0
  /** How many were taken back whose sends have yet to say so. */
  takenBack = 0
  /** The brokers have acknowledged a dispatch; or one ended in a way that leaves open whether it is in the log. */
  acknowledged = false
  doubtful = false
  /** The records of further dispatches: each needs one of its own to be taken back by. */
  further: OutgoingRecord[] | undefined = undefined
  /** Why a send failed whose outcome is open. */
  problem: unknown = undefined
  /** Where the request stands, once the brokers have acknowledged it. */
  position: RecordPosition | undefined = undefined

  /** Its reply has come; something asynchronous may still be reading it. */
  replied = false
  onReply: OnReply | undefined = undefined
  /** What has come, where several replies are wanted (`requestMany`). */
  gathering: Gathering | undefined = undefined
  /** Replies that are being read one after the other, where there may be several. */
  reading: Promise<void> | undefined = undefined
  /** The last reply that was read. */
  seen: ReplySeen | undefined = undefined

  /** Gives the caller the reply, or several, or a promise that rejects. */
  resolve: (outcome: Reply<never> | Gathered<never> | Promise<never>) => void = ignore
  /** Stops listening to the caller's signal. */
  unlisten: (() => void) | undefined = undefined
  trace: RequestTrace | undefined = undefined

  expiresAt = 0
  previous: DeadlineEntry | undefined = undefined
  next: DeadlineEntry | undefined = undefined
  queue: DeadlineQueue | undefined = undefined

  constructor(operation: AnyOperation, account: OperationAccount, request: unknown, oneWay = false) {
    this.operation = operation
    this.account = account
    this.request = request
    this.oneWay = oneWay
  }
}

function ignore(): void {}

export function idOf(correlationId: Buffer): string {
  return correlationId.toString('latin1')
}

/** What diagnostics say of a request at every step. */
export function stepOf(pending: PendingReply, instanceId: string): RequestStep {
  return {
    operation: pending.operation.name,
    topic: pending.operation.topic,
    correlationId: pending.correlationId.toString('hex'),
    instanceId,
  }
}

/** What each error of an accepted request says of it. */
export function factsOf(pending: PendingReply): RequestFacts {
  return {
    operation: pending.operation.name,
    correlationId: pending.correlationId.toString('hex'),
    topic: pending.operation.topic,
    key: pending.key,
    position: pending.position,
  }
}
