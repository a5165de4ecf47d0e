/** The errors as a union that is told apart by `code`. */
import type { ErrorCode } from './error-facts.ts'
import {
  MilenaError,
  type OptionsError,
  type RemoteError,
  type TimeoutError,
  type ValidationError,
} from './errors.ts'

type WithCode<Of extends MilenaError, Code extends ErrorCode> = Of & { readonly code: Code }

/** The codes that have a class of their own, and it. */
type OwnClasses =
  | WithCode<OptionsError, 'MILENA_OPTIONS_INVALID'>
  | WithCode<ValidationError, 'MILENA_REQUEST_INVALID'>
  | WithCode<ValidationError, 'MILENA_REPLY_INVALID'>
  | WithCode<TimeoutError, 'MILENA_TIMEOUT'>
  | WithCode<RemoteError, 'MILENA_REMOTE_ERROR'>

/** Any error of the library: `error.code === 'MILENA_TIMEOUT'` makes it a `TimeoutError`, and so on. */
export type AnyMilenaError =
  | OwnClasses
  | { [Code in Exclude<ErrorCode, OwnClasses['code']>]: WithCode<MilenaError, Code> }[Exclude<
      ErrorCode,
      OwnClasses['code']
    >]

/**
 * Whether this is an error of the library's, also of another copy of it. What `code` it has then says its type:
 *
 * ```ts
 * if (isMilenaError(error) && error.code === 'MILENA_REMOTE_ERROR') show(error.remoteCode)
 * ```
 */
export function isMilenaError(error: unknown): error is AnyMilenaError {
  return error instanceof MilenaError
}
