/** What an `idempotency` middleware has done since it was made. */
export interface IdempotencyStats {
  /** Requests whose key was claimed here, so that they were handled. */
  readonly claimed: number
  /** Requests that were answered with a stored outcome. */
  readonly repeated: number
  /** Requests whose key stood for another content. */
  readonly mismatched: number
  /** How often a request has waited for somebody who was at work on its key. */
  readonly waited: number
  /** Requests that were refused with `MILENA_IN_PROGRESS`. */
  readonly inProgress: number
  /** Outcomes that were not stored, since another process had claimed the key meanwhile. */
  readonly fenced: number
  /** Claims that another process took while the handler was still running here. */
  readonly lost: number
  /** Claims that were given up, so that the request can be handled again. */
  readonly released: number
  /** Requests without a key, which were handled as they were. */
  readonly unkeyed: number
  /** Questions what became of a key. */
  readonly queries: number
  /** Steps of the store that are being tried again, now. */
  readonly unsettled: number
}

export type IdempotencyCounters = { -readonly [Name in Exclude<keyof IdempotencyStats, 'unsettled'>]: number }

export function createIdempotencyCounters(): IdempotencyCounters {
  return {
    claimed: 0,
    repeated: 0,
    mismatched: 0,
    waited: 0,
    inProgress: 0,
    fenced: 0,
    lost: 0,
    released: 0,
    unkeyed: 0,
    queries: 0,
  }
}
