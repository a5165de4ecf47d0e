import { OptionsError } from '../errors.ts'
import { problemsOfSwitches, unknownOptions } from '../given.ts'
import { said } from '../words.ts'
import { problemOfDuration } from './options.ts'

/**
 * How long to wait before the next try, in milliseconds.
 *
 * @param tries how many were made, from 1
 * @param random 0 ≤ x < 1
 */
export type Backoff = (tries: number, random: () => number) => number

/** Always as long. */
export function fixed(milliseconds: number): Backoff {
  refuse('fixed', [['milliseconds', milliseconds]])
  return () => milliseconds
}

export interface ExponentialOptions {
  /** Milliseconds before the second try. */
  readonly first: number
  /** By what each is longer than the one before; default 2. */
  readonly factor?: number
  /** The longest, in milliseconds. */
  readonly most: number
  /**
   * Whether the pause is any one from 0 to that long ("full jitter"), so that those who failed together do not come again
   * together; default true.
   */
  readonly jitter?: boolean
}

const known: ReadonlySet<string> = new Set<keyof ExponentialOptions>(['first', 'factor', 'most', 'jitter'])

/**
 * Longer each time.
 *
 * @throws OptionsError `MILENA_OPTIONS_INVALID`
 */
export function exponential(options: ExponentialOptions): Backoff {
  const problems = [
    ...unknownOptions('exponential', options, known),
    ...problemsOfSwitches(options, ['jitter']),
  ]
  if (problems.length > 0) throw new OptionsError('exponential', problems)
  const { first, factor = 2, most, jitter = true } = options
  refuse('exponential', [
    ['first', first],
    ['most', most],
  ])
  if (!(typeof factor === 'number' && factor >= 1 && factor < Infinity))
    throw new OptionsError('exponential', [`factor must be a number from 1 on, not ${said(factor)}`])
  return (tries, random) => {
    const longest = Math.min(most, first * factor ** (tries - 1))
    return jitter ? random() * longest : longest
  }
}

function refuse(what: string, durations: readonly (readonly [string, number])[]): void {
  const problems = durations.flatMap(([name, value]) => problemOfDuration(name, value) ?? [])
  if (problems.length > 0) throw new OptionsError(what, problems)
}
