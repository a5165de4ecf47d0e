import type { Effect } from '../error-facts.ts'
import { OptionsError } from '../errors.ts'
import { unknownOptions } from '../given.ts'

export interface StepErrorOptions extends ErrorOptions {
  /** In words of the application's, such as `INSUFFICIENT_FUNDS`; stored and listed. */
  readonly code?: string | undefined
  /** What the step has done outside. Default `none`: certainly nothing, so that there is nothing to undo. */
  readonly effect?: Effect | undefined
  /** Whether trying again can help. Default false. */
  readonly retryable?: boolean | undefined
}

const known: ReadonlySet<string> = new Set<keyof StepErrorOptions>(['cause', 'code', 'effect', 'retryable'])

/**
 * Thrown by a step that knows more than that it failed. Of any other error nothing is known, unless it has these two
 * properties itself, as every `MilenaError` has: then its effect is unknown, and trying again can help.
 */
export class StepError extends Error {
  readonly code: string | undefined
  readonly effect: Effect
  readonly retryable: boolean

  /** @throws OptionsError of options that there are not */
  constructor(message: string, options: StepErrorOptions = {}) {
    const problems = unknownOptions('StepError', options, known)
    if (problems.length > 0) throw new OptionsError('StepError', problems)
    super(message, options)
    this.code = options.code
    this.effect = options.effect ?? 'none'
    this.retryable = options.retryable ?? false
  }

  override get name(): string {
    return 'StepError'
  }
}
