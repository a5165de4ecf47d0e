/** What a run was, and what came of it. */
import type { Audit } from '../audit/main.ts'
import type { Service } from '../system.ts'
import type { Counted, Money } from './findings.ts'

/** In milliseconds. */
export interface Wait {
  readonly p50: number
  readonly p99: number
  readonly most: number
}

export interface Outcome {
  readonly exchanges: number
  readonly counted: Counted
  readonly askedAgain: number
  readonly deadLettered: number
  readonly replayed: number
  /** Tries of cancellations that were given up, beyond the first of each. */
  readonly lettersRetries: number
  /** Copies of commands and replies that were written. */
  readonly duplicates: number
  readonly kills: Readonly<Record<Service, number>>
  /** Milliseconds. */
  readonly downFor: number
  /** How long callers waited, by what they were told. */
  readonly waits: { readonly all: Wait; readonly done: Wait; readonly undone: Wait }
  /** Milliseconds of the load, and from its end until everything was at rest. */
  readonly loadFor: number
  readonly settledIn: number
  readonly money: readonly Money[]
  readonly audit: Audit
  /** Everything that should not be; empty: all is well. */
  readonly problems: readonly string[]
}

/** What must be so at the end, beside what the auditor and the callers say. */
export function problemsOfCounts(exchanges: number, { done, undone, halfDone }: Counted): readonly string[] {
  const problems: string[] = []
  if (halfDone > 0) problems.push(`${halfDone} exchanges are half done`)
  // One that was asked for and never begun has a caller without an answer, which is told.
  if (done + undone + halfDone > exchanges)
    problems.push(`${done + undone + halfDone} exchanges are there, and ${exchanges} were asked for`)
  return problems
}

export function waitOf(milliseconds: readonly number[]): Wait {
  const sorted = milliseconds.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99), most: at(1) }
}
