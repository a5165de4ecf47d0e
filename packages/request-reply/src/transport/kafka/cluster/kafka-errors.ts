/**
 * What a broker's refusal, or a connection's failure, means for the caller.
 *
 * Error codes and names: Apache Kafka, `org.apache.kafka.common.protocol.Errors`.
 */
import { protocolErrors, protocolErrorsCodesById } from '@platformatic/kafka'
import { TransportError, type ErrorCode, type ErrorDetails } from '../../../errors.ts'
import { wordsOf } from '../../../words.ts'

/** The Kafka error codes that the adapter decides on. */
export const kafka = {
  unknownServerError: -1,
  none: 0,
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  notLeaderOrFollower: 6,
  requestTimedOut: 7,
  messageTooLarge: 10,
  networkException: 13,
  coordinatorLoadInProgress: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  invalidTopic: 17,
  recordListTooLarge: 18,
  notEnoughReplicas: 19,
  notEnoughReplicasAfterAppend: 20,
  illegalGeneration: 22,
  unknownMemberId: 25,
  rebalanceInProgress: 27,
  topicAuthorizationFailed: 29,
  groupAuthorizationFailed: 30,
  clusterAuthorizationFailed: 31,
  topicAlreadyExists: 36,
  notController: 41,
  outOfOrderSequenceNumber: 45,
  duplicateSequenceNumber: 46,
  invalidProducerEpoch: 47,
  kafkaStorageError: 56,
  unknownProducerId: 59,
  fencedLeaderEpoch: 74,
  unknownLeaderEpoch: 75,
  memberIdRequired: 79,
  fencedInstanceId: 82,
  unstableOffsetCommit: 88,
  throttlingQuotaExceeded: 89,
  unknownTopicId: 100,
} as const

const names: Readonly<Record<number, string | undefined>> = protocolErrorsCodesById

/** Kafka's name of an error code, such as `NOT_LEADER_OR_FOLLOWER (6)`. */
export function errorName(code: number): string {
  return `${names[code] ?? 'UNKNOWN'} (${code})`
}

function errorText(code: number): string {
  return protocolErrors[names[code] ?? '']?.message ?? 'an error that this client does not know'
}

/** Whether Kafka calls this error retriable. */
export function isRetriable(code: number): boolean {
  return protocolErrors[names[code] ?? '']?.canRetry === true
}

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

/** OpenSSL's and Node's codes for a certificate, or a handshake, that will not come right by trying again. */
const TLS_CODE =
  /^(SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_(GET|VERIFY|DECRYPT)_|CERT_|CRL_|ERR_TLS_|ERR_SSL_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|EPROTO)/

/**
 * The cause of a connection's failure that trying again cannot mend: refused credentials, a certificate that is not
 * trusted, TLS against plain text. The client wraps it in an error that looks retryable; the truth is in `cause`.
 */
export function authenticationFailure(error: unknown): Error | undefined {
  const seen = new Set<unknown>()
  const walk = (at: unknown): Error | undefined => {
    if (!(at instanceof Error) || seen.has(at)) return undefined
    seen.add(at)
    const code = 'code' in at && typeof at.code === 'string' ? at.code : ''
    const deeper =
      walk(at.cause) ?? (at instanceof AggregateError ? at.errors.map(walk).find(Boolean) : undefined)
    if (deeper !== undefined) return deeper
    return code === 'PLT_KFK_AUTHENTICATION' || code === 'PLT_KFK_USER' || TLS_CODE.test(code)
      ? at
      : undefined
  }
  return walk(error)
}

/** The error for a broker that refuses our credentials, or whose certificate we refuse. */
export function authenticationError(broker: string, failure: Error, cause: unknown): TransportError {
  const detail = deepestMessage(failure)
  return new TransportError(
    'MILENA_AUTHENTICATION_FAILED',
    `broker ${broker}: ${detail}; check the sasl and tls options against the broker's listener`,
    { cause },
  )
}

/** What lies at the bottom of an error, with what was made of it. */
export function deepestMessage(error: unknown): string {
  const texts: string[] = []
  for (let at: unknown = error; at instanceof Error && texts.length < 4; at = at.cause) {
    const words = wordsOf(at)
    if (!texts.includes(words)) texts.push(words)
  }
  return texts.length === 0 ? 'no reason given' : texts.join(': ')
}

/** The error for brokers of which none answered. */
export function unreachable(brokers: readonly string[], waited: string, cause: unknown): TransportError {
  const why = deepestMessage(cause)
  // Which is how a listener that speaks TLS, or wants a login, treats who does neither.
  const hint = /closed|ECONNRESET/.test(why)
    ? '; if it wants TLS or a login, set the tls and sasl options'
    : ''
  return new TransportError(
    'MILENA_BROKER_UNREACHABLE',
    `no broker answered ${waited} at ${brokers.join(', ')} (${why}); ` +
      `check that it runs, that the addresses are right, and that its advertised listeners can be reached from here${hint}`,
    { cause },
  )
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
