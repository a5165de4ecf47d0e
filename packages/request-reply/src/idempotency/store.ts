/**
 * Where idempotency keys are kept: who is at work on one, and what came of it. A store is shared by all repliers that
 * could be given the same request; every one passes `test/idempotency-contract.ts`.
 *
 *     (nothing) ── claim ──▶ claimed ── complete ──▶ stored ── its ttl ──▶ (nothing)
 *                            │  ▲  │                    │
 *                      lease │  │  └─ release ──▶ released ── its ttl ──▶ (nothing)
 *                       over ▼  │ claim, a higher token │ claim
 *                           lapsed ◀────────────────────┘     (stored, too, by `replacing`)
 *
 * Every claim of a key gets a higher token than all before it. What comes with an older token changes nothing: a process
 * that was thought dead cannot overwrite what its successor does. Each method is one atomic step. Times are the store's
 * own clock's: whoever asks may have another one.
 */
import type { StoredOutcome } from '../contract/stored-outcome.ts'

/** One piece of work. `scope`: up to 600 bytes, `key`: up to 600 bytes, both without control characters. */
export interface IdempotencyId {
  readonly scope: string
  readonly key: string
}

export interface ClaimOptions {
  /** What the request says, as 64 hexadecimal digits: a key stands for one content only. */
  readonly fingerprint: string
  /** Who claims, for people: up to 255 bytes. */
  readonly owner: string
  /** Milliseconds after which, unless it is renewed, the claim is anybody's. */
  readonly lease: number
  /** Milliseconds for which the key is known, from its last change. */
  readonly ttl: number
  /** Claims it although an outcome is stored, if that one still has this token. */
  readonly replacing?: number | undefined
}

export type Claim =
  /**
   * It is the caller's, until its lease ends. `token`: a whole number, up to 2^53 − 1. `again`: something was known of the key,
   * so that somebody may have begun with it before (it was released or lapsed, or its outcome is being replaced).
   */
  | { readonly kind: 'claimed'; readonly token: number; readonly again: boolean }
  | RunningEntry
  | StoredEntry
  /** The key is known with another fingerprint, whatever its state: nothing has changed. */
  | { readonly kind: 'mismatch' }

/** Somebody is at work on it. */
export interface RunningEntry {
  readonly kind: 'running'
  readonly owner: string
  /** Milliseconds until its lease ends, at least 1. */
  readonly remaining: number
}

/** Its work is over. */
export interface StoredEntry {
  readonly kind: 'stored'
  readonly outcome: StoredOutcome
  readonly token: number
  /** In milliseconds since the Unix epoch. */
  readonly storedAt: number
}

export type Found =
  | RunningEntry
  | StoredEntry
  /** Somebody had begun and gave it up (`released`), or was not heard of until its lease ended (`lapsed`). */
  | { readonly kind: 'released' | 'lapsed' }
  /**
   * Nothing is known of it. `knowsSince`: since when the store has lost, dropped or outlived nothing, in milliseconds since
   * the Unix epoch: what was claimed after it, and is not here, was released without a trace. `undefined`: it cannot say.
   */
  | { readonly kind: 'nothing'; readonly knowsSince: number | undefined }

/**
 * Methods reject when the store cannot be asked: then it is not known whether the step was done.
 *
 * `Added`: what its transactions add to a handler's context.
 */
export interface IdempotencyStore<Added extends object = object> {
  /**
   * Claims a key that is nobody's: nothing is known of it, it was released, or its lease is over. An owner that claims what
   * it holds itself is told that it is running.
   */
  claim(id: IdempotencyId, options: ClaimOptions): Promise<Claim>
  /** The lease begins anew. False when the claim is not this token's any more. */
  renew(id: IdempotencyId, token: number, lease: number): Promise<boolean>
  /**
   * Stores the outcome in place of the claim, also when its lease is over and nobody else has claimed it. `fenced`: nothing
   * was stored, the claim is not this token's. Done a second time it is `completed` again, so that it can be tried again.
   */
  complete(
    id: IdempotencyId,
    token: number,
    outcome: StoredOutcome,
    ttl: number,
  ): Promise<'completed' | 'fenced'>
  /**
   * Gives up the claim, if it is this token's: anybody may claim it at once, with the same fingerprint.
   *
   * @param trace whether `find` says `released` for as long as the claim's `ttl` says: something may have been done. Without
   *   one nothing is left of it
   */
  release(id: IdempotencyId, token: number, trace: boolean): Promise<void>
  find(id: IdempotencyId): Promise<Found>
  /** Where the handler's work and the stored outcome can be committed together. Opened after the claim, for one request. */
  begin?(): Promise<IdempotencyTransaction<Added>>
}

/** A transaction of the store's own database. Ends with `complete` or `rollback`, whichever is called first. */
export interface IdempotencyTransaction<Added extends object> {
  /** Given to the handler, in its context: what is done through it is part of the transaction. */
  readonly added: Added
  /**
   * Asked when the handler has done its work, before anybody hears of it. Rejects when that can certainly not be committed,
   * also by another try: then it has failed.
   */
  check?(): Promise<void>
  /**
   * Stores the outcome within the transaction, as `IdempotencyStore.complete` does, and commits. `fenced`: rolled back. When
   * it rejects, it is not known which: a new claim tells.
   */
  complete(
    id: IdempotencyId,
    token: number,
    outcome: StoredOutcome,
    ttl: number,
  ): Promise<'completed' | 'fenced'>
  /** Nothing that was done through it remains. Never rejects. */
  rollback(): Promise<void>
}
