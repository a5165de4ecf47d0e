/**
 * The steps of an idempotency store outside of transactions, many of them in one statement.
 *
 *   step ──▶ group ─┬─ done ──────────────────────────────────────▶ its result
 *                   └─ not: known, fenced, or locked by somebody ──▶ a statement of its own, which waits, and tells
 *
 * So no group waits for a row that somebody has locked, and two groups never wait for each other.
 */
import {
  encodeStoredOutcome,
  type ClaimOptions,
  type IdempotencyId,
  type StoredOutcome,
} from '@milena/request-reply'
import { GroupCommit, type GroupCommitOptions } from '../group-commit.ts'
import { nameOf, type Completion, type Entries, type Held, type NewClaim, type Renewal } from './entries.ts'

export type GroupSettings = Pick<GroupCommitOptions<unknown, unknown>, 'pace' | 'timeout' | 'clock'>

export class EntryGroups {
  readonly #entries: Entries
  readonly #claims: GroupCommit<NewClaim, number | undefined>
  readonly #renewals: GroupCommit<Renewal, boolean>
  readonly #completions: GroupCommit<Completion, boolean>
  readonly #releases: GroupCommit<Held, boolean>
  readonly #tracedReleases: GroupCommit<Held, boolean>

  constructor(entries: Entries, { pace, timeout, clock }: GroupSettings) {
    this.#entries = entries
    const group = <Step extends { readonly id: IdempotencyId }, Result>(
      carryOut: (steps: readonly Step[]) => Promise<Result[]>,
      bytesOf?: (step: Step) => number,
    ) =>
      new GroupCommit<Step, Result>({ pace, timeout, clock, idOf: ({ id }) => nameOf(id), carryOut, bytesOf })
    this.#claims = group((claims) => entries.claimNew(claims))
    this.#renewals = group((renewals) => entries.renew(renewals, 'skip'))
    this.#completions = group(
      (completions) => entries.complete(completions, 'skip'),
      ({ outcome }) => 2 * outcome.length, // an array of them is written in hexadecimal digits
    )
    this.#releases = group((releases) => entries.release(releases, false, 'skip'))
    this.#tracedReleases = group((releases) => entries.release(releases, true, 'skip'))
  }

  async claim(
    id: IdempotencyId,
    options: ClaimOptions,
  ): Promise<{ readonly token: number; readonly again: boolean } | undefined> {
    const token = options.replacing === undefined ? await this.#claims.add({ id, options }) : undefined
    return token === undefined ? this.#entries.claim(id, options) : { token, again: false }
  }

  async renew(id: IdempotencyId, token: number, lease: number): Promise<boolean> {
    const renewal = { id, token, lease }
    if (await this.#renewals.add(renewal)) return true
    return (await this.#entries.renew([renewal], 'wait'))[0]!
  }

  async complete(id: IdempotencyId, token: number, outcome: StoredOutcome, ttl: number): Promise<boolean> {
    const completion = { id, token, outcome: encodeStoredOutcome(outcome), ttl }
    if (await this.#completions.add(completion)) return true
    return (await this.#entries.complete([completion], 'wait'))[0]!
  }

  async release(id: IdempotencyId, token: number, trace: boolean): Promise<void> {
    const releases = trace ? this.#tracedReleases : this.#releases
    if (!(await releases.add({ id, token }))) await this.#entries.release([{ id, token }], trace, 'wait')
  }
}
