import type { Effect } from '../error-facts.ts'
import { foreign, wordsOf } from '../words.ts'
import type { StepFailure } from './status.ts'

/** What a step that failed says of itself. */
export interface Failure extends StepFailure {
  /** Whether trying again can help, as far as the error says. */
  readonly retryable: boolean
}

/** Reads what was thrown, whoever threw it. @param effect where the error does not say */
export function failureOf(thrown: unknown, effect: Effect = 'unknown'): Failure {
  const said = facts(thrown)
  return {
    code: said.code,
    message: wordsOf(thrown),
    effect: said.effect ?? effect,
    retryable: said.retryable ?? said.effect === undefined,
  }
}

interface Said {
  readonly code: string | undefined
  readonly effect: Effect | undefined
  readonly retryable: boolean | undefined
}

function facts(thrown: unknown): Said {
  const nothing = { code: undefined, effect: undefined, retryable: undefined }
  try {
    if (typeof thrown !== 'object' || thrown === null) return nothing
    const { code, remoteCode, effect, retryable } = thrown as Record<string, unknown>
    const named = remoteCode ?? code
    return {
      code: typeof named === 'string' ? foreign(named, 128) : undefined,
      effect: effect === 'none' || effect === 'done' || effect === 'unknown' ? effect : undefined,
      retryable: typeof retryable === 'boolean' ? retryable : undefined,
    }
  } catch {
    return nothing // a proxy that refuses
  }
}

/** As it is stored. */
export function stored({ code, message, effect }: StepFailure): StepFailure {
  return { code, message, effect }
}
