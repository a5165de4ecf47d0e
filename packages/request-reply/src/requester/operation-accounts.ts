/** What a requester keeps for each operation: what it has counted of it, and what is encoded once. */
import { problemOfOperation, type AnyOperation } from '../contract/operation.ts'
import { Durations, type DurationSummary } from '../durations.ts'
import { OptionsError } from '../errors.ts'
import { operationHeader } from '../wire/milena.ts'
import type { RawHeader } from '../wire/headers.ts'

/** How many requests were accepted, and how they ended: each in exactly one of the seven. */
export interface OutcomeCounts {
  readonly accepted: number
  /** Of `requestMany`: all that it waited for came. */
  readonly replied: number
  /** `requestMany` that its timeout ended, with one reply at least. */
  readonly partial: number
  /** Answered with an error by the replier. */
  readonly remoteErrors: number
  readonly timedOut: number
  readonly cancelled: number
  /** Ended for another reason: not sent, an unreadable reply. */
  readonly failed: number
  /** Still pending when the requester, or its transport, was closed. */
  readonly abandoned: number
}

/** What was counted of one operation. */
export interface RequesterOperationStats extends OutcomeCounts {
  /** From acceptance to the reply's arrival, in milliseconds, of replies and error replies. */
  readonly roundTrip: DurationSummary
}

/** The counter of an outcome. */
export type OutcomeName = Exclude<keyof OutcomeCounts, 'accepted'>

type Counts = { -readonly [Name in keyof OutcomeCounts]: number }

function noCounts(): Counts {
  return {
    accepted: 0,
    replied: 0,
    partial: 0,
    remoteErrors: 0,
    timedOut: 0,
    cancelled: 0,
    failed: 0,
    abandoned: 0,
  }
}

interface Counted {
  readonly counts: Counts
  readonly roundTrips: Durations
}

/** Of one definition; definitions of one name are counted together. */
export interface OperationAccount extends Counted {
  readonly header: RawHeader
}

/** More names than this are counted together, so that operations which are made as they come take no memory. */
const mostOperations = 100
/** The name under which those are counted. */
const otherOperations = '(others)'

export class OperationAccounts {
  readonly #known = new WeakMap<AnyOperation, OperationAccount>()
  readonly #counted = new Map<string, Counted>()
  readonly #all = new Durations()

  /** @throws OptionsError when it is no operation. */
  of(operation: AnyOperation): OperationAccount {
    return this.#known.get(operation) ?? this.#open(operation)
  }

  /** Whether it is an operation, and one that was asked before. */
  has(operation: AnyOperation): boolean {
    return this.#known.has(operation)
  }

  recordRoundTrip(account: OperationAccount, milliseconds: number): void {
    this.#all.record(milliseconds)
    account.roundTrips.record(milliseconds)
  }

  totals(): OutcomeCounts {
    const totals = noCounts()
    for (const { counts } of this.#counted.values())
      for (const name of Object.keys(totals) as (keyof Counts)[]) totals[name] += counts[name]
    return totals
  }

  roundTrip(): DurationSummary {
    return this.#all.summary()
  }

  byName(): Readonly<Record<string, RequesterOperationStats>> {
    return Object.fromEntries(
      [...this.#counted].map(([name, { counts, roundTrips }]) => [
        name,
        { ...counts, roundTrip: roundTrips.summary() },
      ]),
    )
  }

  #open(operation: AnyOperation): OperationAccount {
    const problem = problemOfOperation(operation)
    if (problem !== undefined) throw new OptionsError('request', [problem])
    const name =
      this.#counted.has(operation.name) || this.#counted.size < mostOperations
        ? operation.name
        : otherOperations
    let counted = this.#counted.get(name)
    if (counted === undefined) {
      counted = { counts: noCounts(), roundTrips: new Durations() }
      this.#counted.set(name, counted)
    }
    const account = { ...counted, header: operationHeader(operation.name) }
    this.#known.set(operation, account)
    return account
  }
}
