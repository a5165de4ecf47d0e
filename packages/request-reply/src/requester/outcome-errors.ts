/** How a request ends without a reply, as the error that its caller gets. */
import type { AnyOperation } from '../contract/operation.ts'
import type { SentState } from '../error-facts.ts'
import { MilenaError, TimeoutError, TransportError, type ErrorDetails } from '../errors.ts'
import { isReplyTopicByDefault } from '../wire/reply-topics.ts'
import { wordsOf } from '../words.ts'
import { factsOf, type PendingReply } from './pending.ts'

/** @param why such as that `until` threw; a reply has come, so it was sent */
export function gatherFailed(
  pending: PendingReply,
  code: 'MILENA_UNTIL_FAILED' | 'MILENA_TOO_MANY_REPLIES',
  why: string,
  cause?: unknown,
): MilenaError {
  const message = `operation ${pending.operation.name}: ${why}; what had come is in gatheredIn(error, operation)`
  return withoutStack(() => new MilenaError(code, message, { sent: 'yes', cause, request: factsOf(pending) }))
}

/** How far a request that is given up has come: `no` after everything of it was taken back. */
export function sentStateOf({ acknowledged, doubtful, inFlight }: PendingReply): SentState {
  if (acknowledged) return 'yes'
  return doubtful || inFlight > 0 ? 'unknown' : 'no'
}

/** Why the caller's signal was aborted. */
export function reasonOf(signal: AbortSignal | undefined): unknown {
  try {
    return signal?.reason
  } catch (thrown) {
    return thrown
  }
}

/** What is certain of a request that never left this process. */
const neverSent = { sent: 'no', outcomeKnown: true, effect: 'none', retryable: true } as const

function detailsOf(pending: PendingReply, cause: unknown): ErrorDetails {
  const sent = sentStateOf(pending)
  return { ...(sent === 'no' ? neverSent : { sent }), cause, request: factsOf(pending) }
}

/** @param why what is known of why there is no reply; without, what may be looked at */
export function timedOut(pending: PendingReply, replyTopic: string, why: string | undefined): MilenaError {
  const { operation, timeout, problem } = pending
  const details = detailsOf(pending, problem)
  if (details.sent === 'no') {
    return withoutStack(
      () =>
        new TransportError(
          'MILENA_NOT_SENT',
          `operation ${operation.name}: it did not leave this process within its ${timeout} ms and was taken back` +
            beyondTopic(pending) +
            (why === undefined ? '' : `; ${why}`),
          details,
        ),
    )
  }
  const doubt = problem === undefined ? '' : `whether it was sent is not known (${wordsOf(problem)}); `
  const byDefault = isReplyTopicByDefault(replyTopic, operation.topic) ? '' : ' (by default they do not)'
  const look =
    why ??
    `look whether a replier of topic ${operation.topic} is running, whether its group keeps up (its lag) and its handler ends in time, ` +
      `whether its replyTopics allow ${replyTopic}${byDefault} and its rights let it write there, ` +
      `and whether the clocks of both sides agree`
  return withoutStack(() => new TimeoutError(operation.name, timeout, details, doubt + look))
}

/** That a partition is missing is certain after several answers; a request that ends sooner says what was known. */
function beyondTopic({ operation, partition, partitions }: PendingReply): string {
  if (partition === undefined || partition < partitions) return ''
  return (
    `; it is for partition ${partition}, and topic ${operation.topic} had ${partitions}, numbered from 0, ` +
    'when the brokers were last asked'
  )
}

export function cancelled(pending: PendingReply, reason: unknown): MilenaError {
  const details = detailsOf(pending, reason)
  const known = details.sent === 'no' ? 'it was taken back before it was sent' : 'the outcome is unknown'
  return withoutStack(
    () =>
      new MilenaError(
        'MILENA_CANCELLED',
        `operation ${pending.operation.name}: cancelled by the caller; ${known}`,
        details,
      ),
  )
}

export function cancelledBefore(operation: AnyOperation, reason: unknown): MilenaError {
  return new MilenaError(
    'MILENA_CANCELLED',
    `operation ${operation.name}: cancelled by the caller; nothing was sent`,
    { ...neverSent, cause: reason },
  )
}

/**
 * The deadline that its caller has given was over before it was accepted. Trying again, later, is in vain.
 *
 * @param by milliseconds
 * @param reason why its caller's signal has fired, if it has: whoever looks for what stopped the work finds that
 */
export function deadlineOver(operation: AnyOperation, by: number, reason: unknown): TransportError {
  const since = by === 0 ? 'is over' : `was over ${Math.ceil(by)} ms ago`
  return new TransportError(
    'MILENA_NOT_SENT',
    `operation ${operation.name}: not sent, since its deadline ${since}`,
    { ...neverSent, retryable: false, cause: reason },
  )
}

/** @param cause why it was not the requester's own `close`, if it was not */
export function abandoned(pending: PendingReply, cause: Error | undefined): MilenaError {
  const details = detailsOf(pending, cause)
  const known = details.sent === 'no' ? 'it was not sent' : 'the outcome is unknown'
  const what = cause === undefined ? 'the requester was closed' : `no reply can come: ${wordsOf(cause)}`
  return withoutStack(
    () =>
      new MilenaError(
        'MILENA_ABANDONED',
        `operation ${pending.operation.name}: ${what}, before the reply came; ${known}`,
        details,
      ),
  )
}

/** The transport's own error, about this request: it may have been given to others as well. */
export function unsent(pending: PendingReply, cause: TransportError): TransportError {
  const { code, message, sent, outcomeKnown, retryable, effect } = cause
  const request = factsOf(pending)
  return new TransportError(code, `operation ${pending.operation.name}: ${message}`, {
    sent,
    outcomeKnown,
    retryable,
    effect,
    cause,
    request,
  })
}

/** Its entry in the journal could not be written. */
export function journalRefused(pending: PendingReply, cause: MilenaError): MilenaError {
  const { code, message, retryable } = cause
  const details = { ...neverSent, retryable, cause, request: factsOf(pending) }
  return withoutStack(
    () => new MilenaError(code, `operation ${pending.operation.name}: not sent: ${message}`, details),
  )
}

/** @param waitedFor what had not come to an end */
export function notReady(operation: AnyOperation, timeout: number, waitedFor: string): TransportError {
  return new TransportError(
    'MILENA_NOT_SENT',
    `operation ${operation.name}: not sent within ${timeout} ms: ${waitedFor} was still being waited for`,
  )
}

export function tooLarge(operation: AnyOperation, bytes: number, maxPendingBytes: number): MilenaError {
  return new MilenaError(
    'MILENA_RECORD_TOO_LARGE',
    `operation ${operation.name}: the request has ${bytes} bytes of key, value and headers, ` +
      `and at most ${maxPendingBytes} (maxPendingBytes) may be pending at all`,
  )
}

/** For an error that comes by the ten thousand a second: its stack costs more than all else, and says nothing new. */
export function withoutStack<Problem extends Error>(make: () => Problem): Problem {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = limit
  }
}

const nextTick = (): void => {}

/**
 * A promise that rejects with the error, whose stack then names who was waiting. V8 finds the functions that await a
 * promise from the reaction in which a stack is taken; so it is taken there, where nothing of ours stands in between, and
 * a promise that is resolved with this one must have been hooked on to it before: hence the step in front.
 */
export function rejecting(error: Error): Promise<never> {
  return Promise.resolve()
    .then(nextTick)
    .then(function reject(): never {
      Error.captureStackTrace(error, reject)
      throw error
    })
}
