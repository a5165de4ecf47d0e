/** What a broker's refusal, or a connection's failure, means for the caller. */
import { TransportError, type ErrorCode, type ErrorDetails } from '../../../errors.ts'
import { wordsOf } from '../../../words.ts'
import { errorName, errorText, isRetriable, kafka } from '../protocol/error-codes.ts'

const ours: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  [kafka.unknownTopicOrPartition, 'MILENA_TOPIC_MISSING'],
  [kafka.unknownTopicId, 'MILENA_TOPIC_MISSING'],
  [kafka.messageTooLarge, 'MILENA_RECORD_TOO_LARGE'],
  [kafka.recordListTooLarge, 'MILENA_RECORD_TOO_LARGE'],
  [kafka.topicAuthorizationFailed, 'MILENA_NOT_AUTHORIZED'],
  [kafka.groupAuthorizationFailed, 'MILENA_NOT_AUTHORIZED'],
  [kafka.clusterAuthorizationFailed, 'MILENA_NOT_AUTHORIZED'],
  [kafka.illegalGeneration, 'MILENA_COMMIT_FENCED'],
  [kafka.unknownMemberId, 'MILENA_COMMIT_FENCED'],
  [kafka.fencedInstanceId, 'MILENA_COMMIT_FENCED'],
])

/** The error for a broker's refusal. `what` names the act and its object: `send to topic orders, partition 3`. */
export function refusal(code: number, what: string, details: ErrorDetails = {}): TransportError {
  if (code === kafka.unknownTopicOrPartition || code === kafka.unknownTopicId) {
    return new TransportError(
      'MILENA_TOPIC_MISSING',
      `${what}: the topic does not exist; create it first, Milena never creates one by accident`,
      details,
    )
  }
  const ourCode = ours.get(code) ?? 'MILENA_BROKER_ERROR'
  return new TransportError(
    ourCode,
    `${what}: the broker refused with ${errorName(code)}: ${errorText(code)}`,
    {
      ...(ourCode === 'MILENA_BROKER_ERROR' ? { retryable: isRetriable(code) } : {}),
      ...details,
    },
  )
}

function deepestMessage(error: Error): string {
  const texts: string[] = []
  for (let at: unknown = error; at instanceof Error && texts.length < 4; at = at.cause) {
    const words = wordsOf(at)
    if (!texts.some((text) => text.includes(words))) texts.push(words)
  }
  return texts.join(': ')
}

/** The error for brokers of which none answered. */
export function unreachable(brokers: readonly string[], waited: string, cause: unknown): TransportError {
  const why = reason(cause)
  // Which is how a listener that speaks TLS, or wants a login, treats who does neither; and one without TLS who does.
  const hint = /closed|ECONNRESET|disconnected/.test(why)
    ? '; if its listener wants TLS, or a login, or no TLS, set the tls and sasl options so'
    : ''
  return new TransportError(
    'MILENA_BROKER_UNREACHABLE',
    `no broker answered ${waited} at ${brokers.join(', ')} (${why}); ` +
      `check that it runs, that the addresses are right, and that its advertised listeners can be reached from here${hint}`,
    { cause },
  )
}

function reason(cause: unknown): string {
  return cause instanceof Error ? deepestMessage(cause) : 'no reason given'
}

/**
 * The parsed answer of a call. The client throws an answer that reports errors, even one of a single partition among
 * many; it is in the error, with a code at each topic and partition. Failures of the connection still reject.
 */
export async function orAnswer<Answer>(call: Promise<Answer>): Promise<Answer> {
  return call.catch((error: unknown) => {
    if (error instanceof Error && 'response' in error && error.response) return error.response as Answer
    throw error
  })
}

/** The Kafka error codes in a thrown answer, in no particular order; empty for a failure of the connection. */
export function codesOf(error: unknown): number[] {
  if (!(error instanceof AggregateError)) return []
  return error.errors.flatMap((one: unknown) =>
    one instanceof Error && 'apiCode' in one && typeof one.apiCode === 'number'
      ? [one.apiCode]
      : codesOf(one),
  )
}
