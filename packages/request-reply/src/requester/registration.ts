/** The stages from `register` on, for a caller that calls them itself. */
import { OptionsError } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import { classOf } from '../words.ts'
import type { RecordPosition } from '../transport/transport.ts'
import type { Acceptance } from './acceptance.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { EarlyReplies } from './early-replies.ts'
import type { PendingReply } from './pending.ts'
import type { PendingReplies } from './pending-replies.ts'
import { refused, tryOrRefuse } from './read-options.ts'
import type { Reply } from './reply.ts'
import type { ReplyReceiver } from './reply-receiver.ts'
import type { PendingRequest, RegisterOptions } from './stages.ts'

export interface RegistrationOptions {
  readonly acceptance: Acceptance
  readonly dispatcher: Dispatcher
  readonly pending: PendingReplies
  readonly receiver: ReplyReceiver
  /** Where the requester resumes. */
  readonly early: EarlyReplies | undefined
}

export class Registration {
  readonly #options: RegistrationOptions

  constructor(options: RegistrationOptions) {
    this.#options = options
  }

  /** @throws MilenaError as `Requester.register` */
  register<Output>(
    pending: PendingReply,
    given: RegisterOptions<Output> | undefined,
    repliesFrom: readonly RecordPosition[],
  ): PendingRequest<Output> {
    const { acceptance, dispatcher, early, receiver } = this.#options
    const correlationId = readOptions(pending, given)
    pending.staged = true
    // Somebody may have sent it under this id before.
    pending.doubtful = correlationId !== undefined
    return acceptance.accept(pending, correlationId, () => {
      const reply = quiet(promiseOf<Output>(pending))
      this.#options.pending.publishAccepted(pending)
      const come = early?.take(pending.id) ?? []
      // Not before the caller has what it registered.
      if (come.length > 0) queueMicrotask(() => receiver.take(come))
      return {
        correlationId: pending.correlationId,
        record: pending.record!,
        repliesFrom,
        reply,
        dispatch: () => quiet(dispatcher.dispatch(pending)),
        settle: (error) => this.#options.pending.settle(pending, error),
      }
    })
  }
}

/** Settles with the request's outcome; where several replies are wanted, with those. */
export function promiseOf<Output>(pending: PendingReply): Promise<Reply<Output>> {
  return new Promise((resolve) => {
    pending.resolve = resolve as PendingReply['resolve']
  })
}

const known: ReadonlySet<string> = new Set<keyof RegisterOptions<unknown>>(['correlationId', 'onReply'])

/** The caller's own correlation id, in memory of its own. */
function readOptions<Output>(
  pending: PendingReply,
  given: RegisterOptions<Output> | undefined,
): Buffer | undefined {
  if (given === undefined) return undefined
  const { operation } = pending
  const problems = unknownOptions(`operation ${operation.name}, register`, given, known)
  if (problems.length > 0) throw new OptionsError(`operation ${operation.name}, register`, problems)
  const { correlationId, onReply } = tryOrRefuse(operation, 'options', () => ({
    correlationId: given.correlationId,
    onReply: given.onReply,
  }))
  if (onReply !== undefined && typeof onReply !== 'function')
    throw refused(operation, `onReply must be a function, not ${classOf(onReply)}`)
  pending.onReply = onReply
  if (correlationId === undefined) return undefined
  if (!(correlationId instanceof Uint8Array && correlationId.length === 16))
    throw refused(operation, `correlationId must be a Buffer of 16 bytes, not ${classOf(correlationId)}`)
  return Buffer.from(correlationId)
}

/** Whoever does not look at it is not held for a rejection that nobody handles. */
function quiet<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(() => undefined)
  return promise
}
