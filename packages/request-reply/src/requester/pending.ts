/**
 * A pending reply: what a requester keeps of a request until it has its outcome.
 */
import type { AnyOperation } from '../contract/operation.ts'
import type { RequestStep } from '../diagnostics.ts'
import type { RecordPosition } from '../transport/transport.ts'
import type { DeadlineEntry } from './deadlines.ts'
import type { Reply } from './reply.ts'

export interface PendingReply extends DeadlineEntry {
  readonly operation: AnyOperation
  readonly request: unknown
  readonly correlationId: Buffer
  /** The correlation id as a map's key: one character for each byte. */
  readonly id: string
  readonly timeout: number
  /** On the monotonic clock. */
  readonly acceptedAt: number
  readonly bytes: number
  /** Where the request stands, once the brokers have acknowledged it. */
  position: RecordPosition | undefined
  /** Its reply has come; an asynchronous schema may still be validating it. */
  replied: boolean
  readonly resolve: (reply: Reply<never>) => void
  readonly reject: (error: Error) => void
  /** Stops listening to the caller's signal. */
  unlisten: (() => void) | undefined
}

export function idOf(correlationId: Buffer): string {
  return correlationId.toString('latin1')
}

/** What diagnostics say of a request at every step. */
export function stepOf(pending: PendingReply, instanceId: string): RequestStep {
  return {
    operation: pending.operation.name,
    correlationId: pending.correlationId.toString('hex'),
    instanceId,
  }
}
