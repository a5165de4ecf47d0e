import { isTimeout, longestTimeout, type AnyOperation } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import { said } from '../words.ts'
import { problemOfSignal, tryOrRefuse } from './read-options.ts'

/** How a request was sent, as far as it matters for where it stands in the log. */
export interface SentRequest {
  /** Its record key, such as `error.request.key`; without one it cannot be said that it was never seen. */
  readonly key: string | Uint8Array | null
  /**
   * Its partition, such as `error.request.position.partition`; default: the key's. To be named where the operation chooses
   * partitions itself, and where the topic may have got more of them since.
   */
  readonly partition?: number | undefined
  /** When it was made at the earliest, in milliseconds since the Unix epoch. */
  readonly since: number
  /** When it was given up at the latest, likewise; default: `since` and its operation's timeout, or the requester's. */
  readonly until?: number | undefined
}

export interface OutcomeOptions {
  /** Milliseconds to wait for the repliers' answer; default: the operation's timeout, then the requester's. */
  readonly timeout?: number | undefined
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined
  /** Needed for `never seen`: how the request was sent. */
  readonly request?: SentRequest | undefined
  /**
   * Milliseconds after it was given up for which a request may still come into the log: from a process that is dead by now,
   * or from a network that held it up. Default 30 000.
   */
  readonly onTheWay?: number | undefined
  /** Milliseconds by which the store's clock may differ from the one that `since` was read from; default 5 000. */
  readonly clockTolerance?: number | undefined
}

export interface OutcomeSettings {
  readonly timeout: number
  readonly signal: AbortSignal | undefined
  readonly request: SentRequest | undefined
  readonly onTheWay: number
  readonly clockTolerance: number
}

const known: ReadonlySet<string> = new Set<keyof OutcomeOptions>([
  'timeout',
  'signal',
  'request',
  'onTheWay',
  'clockTolerance',
])

const knownOfRequest: ReadonlySet<string> = new Set<keyof SentRequest>(['key', 'partition', 'since', 'until'])

/** @throws OptionsError that lists every problem. */
export function readOutcomeOptions(
  operation: AnyOperation,
  options: OutcomeOptions,
  defaultTimeout: number,
): OutcomeSettings {
  const problems = unknownOptions('requester.outcome', options, known)
  const { timeout = operation.timeout ?? defaultTimeout, signal, request } = options
  const { onTheWay = 30_000, clockTolerance = 5_000 } = options
  if (!isTimeout(timeout)) problems.push(`timeout must be 1 to ${longestTimeout} ms, not ${said(timeout)}`)
  for (const [name, value] of Object.entries({ onTheWay, clockTolerance })) {
    if (!(typeof value === 'number' && value >= 0))
      problems.push(`${name} must be milliseconds, not ${said(value)}`)
  }
  if (signal !== undefined) {
    const problem = tryOrRefuse(operation, 'signal', () => problemOfSignal(signal))
    if (problem !== undefined) problems.push(`signal ${problem}`)
  }
  if (request !== undefined) {
    problems.push(
      ...unknownOptions('requester.outcome: request', request, knownOfRequest).map(
        (problem) => `request: ${problem}`,
      ),
    )
    const { key, since, until } = request
    if (key !== null && typeof key !== 'string' && !(key instanceof Uint8Array))
      problems.push(`request.key must be a string, bytes or null, not ${said(key)}`)
    if (!Number.isFinite(since))
      problems.push(`request.since must be milliseconds since the Unix epoch, not ${said(since)}`)
    if (until !== undefined && !Number.isFinite(until))
      problems.push(`request.until must be milliseconds since the Unix epoch, not ${said(until)}`)
  }
  if (problems.length > 0) throw new OptionsError('requester.outcome', problems)
  return { timeout, signal, request, onTheWay, clockTolerance }
}
