/**
 * What becomes of a record that a replier has read. Every record ends in one of these, whoever decided it: the
 * library, a middleware, or the handler.
 */
import type { Effect } from '../error-facts.ts'
import type { RawHeader } from '../wire/headers.ts'
import type { PassedOverReason } from './stats.ts'

/** The reply is sent, as it is, to where the request says; without such a place the record is done. */
export interface ReplyOutcome {
  readonly kind: 'reply'
  readonly value: Buffer | null
  /** Beside those of the wire profile, which are added when it is sent. */
  readonly headers: readonly RawHeader[]
}

/** An error reply is sent; without a place for it the record is passed over as `failed-one-way`. */
export interface ErrorOutcome {
  readonly kind: 'error'
  readonly code: string
  readonly message: string
  readonly effect?: Effect | undefined
  readonly retryable?: boolean | undefined
  /** A retry stands before it, and makes no more tries: for the middleware outside of it; nobody is told. */
  readonly givenUp?: boolean | undefined
  readonly headers?: readonly RawHeader[] | undefined
}

/** It cannot be answered: counted, told, and left behind. */
export interface PassedOverOutcome {
  readonly kind: 'passed over'
  readonly reason: PassedOverReason
  readonly detail: string
}

export type Outcome =
  | ReplyOutcome
  | ErrorOutcome
  /** Nothing is sent, and nothing is left to do: a one-way request, or one that is taken care of. */
  | { readonly kind: 'done' }
  /** Somebody else sends the reply, later. `comesAgain`: it is handled again here for that, in another record. */
  | { readonly kind: 'handed over'; readonly comesAgain?: boolean | undefined }
  /** To be handled again, from the beginning, not before a time in milliseconds since the Unix epoch; the key's later records wait. */
  | { readonly kind: 'later'; readonly notBefore: number }
  /** The partition stands still; the record is handled again, from the beginning, after a pause that grows. */
  | { readonly kind: 'stop'; readonly error: Error }
  | PassedOverOutcome
  /** The partition is somebody else's by now, who gets the record too: nothing is said. */
  | { readonly kind: 'abandoned' }
