/** What a broker's refusal, or a connection's failure, means for the caller. */
import type { ErrorCode } from '../../../error-facts.ts'
import { TransportError, type ErrorDetails } from '../../../errors.ts'
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

/** What lies at the bottom of an error, with what was made of it. */
export function deepestMessage(error: unknown): string {
  const texts: string[] = []
  for (let at: unknown = error; at instanceof Error && texts.length < 4; at = at.cause) {
    const words = wordsOf(at)
    if (!texts.some((text) => text.includes(words))) texts.push(words)
  }
  return texts.length === 0 ? 'no reason given' : texts.join(': ')
}

/** The error for brokers of which none answered. */
export function unreachable(brokers: readonly string[], waited: string, cause: unknown): TransportError {
  const why = deepestMessage(cause)
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
