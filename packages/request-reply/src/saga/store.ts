/**
 * Where sagas are kept: the port. Every implementation passes `test/saga-contract.ts`.
 *
 *     free ── claim, claimDue ──▶ owned ── save with `free` ──▶ free
 *                                   │  ▲
 *                                   └──┘ save
 *
 * A saga that is owned is changed by its owner alone. An owner is one opened `Sagas`; it lives as long as its lease, which
 * `renew` prolongs. What an owner had when its lease ran out may be claimed by any other; each claim gives the saga a new
 * fencing token, and a change under an older one is refused. Times are the store's own.
 */
import type { SagaState, SagaStatus } from './status.ts'

/**
 * Thrown by `save`: the database can be used, and refuses what was done in the transaction, as it would again. Nothing was
 * changed.
 */
export class TransactionRefused extends Error {
  override get name(): string {
    return 'TransactionRefused'
  }
}

/** Under what a saga may be changed: who claimed it last, and what they saw. */
export interface SagaClaim {
  readonly id: string
  /** Grows by one with each claim. */
  readonly token: number
  /** Grows by one with each change. */
  readonly version: number
}

export interface ClaimedSaga extends SagaClaim {
  readonly status: SagaStatus
  /** In how many milliseconds it was due before it was claimed; `undefined`: only when somebody asks for it. */
  readonly dueIn: number | undefined
}

export interface SavedSaga {
  readonly status: SagaStatus
  /** Frees it: to be claimed as due in so many milliseconds, or with `undefined` by its id only. An ended one is freed anyway. */
  readonly free?: { readonly dueIn: number | undefined } | undefined
}

export interface SagaFilter {
  /** The definition's name. */
  readonly saga?: string | undefined
  readonly state?: SagaState | undefined
  /** Those that are stuck, or those that are not. */
  readonly stuck?: boolean | undefined
  /** Begun at or after this, in milliseconds since the Unix epoch. */
  readonly since?: number | undefined
  /** The most that are given, 1 to 1 000; default 100. */
  readonly limit?: number | undefined
  /** Those after this one, which `SagaPage.cursor` names. */
  readonly after?: string | undefined
}

export interface SagaPage {
  /** In the order in which they were begun, the oldest first. */
  readonly sagas: readonly SagaStatus[]
  /** Where to go on; `undefined` when there are no more. */
  readonly cursor: string | undefined
}

export interface SagaChanges {
  readonly sagas: readonly SagaStatus[]
  /** Where to go on. */
  readonly cursor: string
}

export interface SagaCounts {
  readonly running: number
  readonly compensating: number
  readonly completed: number
  readonly compensated: number
  /** Of those that have not ended. */
  readonly stuck: number
  /** When the oldest one that has not ended was begun, in milliseconds since the Unix epoch. */
  readonly oldest: number | undefined
}

/**
 * Rejects with whatever the database throws; a change then may have been made. `Transaction` is what `save` opens.
 */
export interface SagaStore<Transaction> {
  /**
   * Stores a saga that is owned by `owner`, with `undefined` one that is free and due, unless there is one of its id: then
   * it gives that one's status, and changes nothing.
   *
   * @param write called with the transaction; when it throws, nothing was stored, and `create` rejects with the same error.
   *   Where there is one of the id already, what it did is rolled back
   */
  create(
    status: SagaStatus,
    owner: string | undefined,
    write?: (transaction: Transaction) => void | Promise<void>,
  ): Promise<SagaClaim | { readonly existing: SagaStatus }>
  /** Those of these ids that there are. */
  read(ids: readonly string[]): Promise<readonly SagaStatus[]>
  /** The saga one of whose steps waits for a reply of this correlation id, in hexadecimal. */
  waitingFor(correlationId: string): Promise<SagaStatus | undefined>
  /** Claims this saga, due or not, if it has not ended and is free, or another owner's lease has run out. */
  claim(id: string, owner: string): Promise<ClaimedSaga | undefined>
  /** Claims up to `limit` sagas of these definitions that are due, or that another owner had whose lease has run out. */
  claimDue(owner: string, sagas: readonly string[], limit: number): Promise<readonly ClaimedSaga[]>
  /** Claims up to `limit` sagas that `owner` has already, but for these ids: those whose claim it was never told of. */
  claimOwn(owner: string, except: readonly string[], limit: number): Promise<readonly ClaimedSaga[]>
  /**
   * Changes a saga in one transaction, the next version under the same token.
   *
   * @param change what is saved, or what gives it, called once with the transaction. When it throws, nothing was changed,
   *   and `save` rejects with the same error
   * @throws TransactionRefused what `change` did cannot be committed, such as after an error that it has kept to itself
   * @returns undefined when the saga has another token or version, or is free, or gone; then nothing was changed, and what
   *   `change` did is rolled back
   */
  save(
    claim: SagaClaim,
    change: SavedSaga | ((transaction: Transaction) => Promise<SavedSaga>),
  ): Promise<SagaClaim | undefined>
  /** What was saved last, as long as nobody has claimed the saga since. */
  current(claim: SagaClaim): Promise<ClaimedSaga | undefined>
  /** Begins the owner's lease, or prolongs it: it runs out in so many milliseconds. */
  renew(owner: string, lease: number): Promise<void>
  /** Ends the owner's lease: what it has may be claimed at once. */
  retire(owner: string): Promise<void>
  list(filter: SagaFilter): Promise<SagaPage>
  /**
   * The sagas that were changed since `cursor`, each with its latest status; up to `limit`. Without a cursor none, and
   * where to go on from now. No change is left out, whatever order transactions commit in.
   */
  changes(cursor: string | undefined, limit: number): Promise<SagaChanges>
  count(): Promise<SagaCounts>
  /** Removes up to `limit` sagas that ended more than so many milliseconds ago; how many there were. */
  removeEnded(age: number, limit: number): Promise<number>
}
