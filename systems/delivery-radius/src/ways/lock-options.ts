/** How services with locks wait and try again: the usual, said below the table. */

/** Milliseconds that a row lock is waited for: `lock_timeout`. PostgreSQL itself finds a deadlock after 1 s. */
export const rowLockTimeout = 2_000
/** How often a transaction is tried in all. */
export const tries = 3

/** Milliseconds before the next try: longer each time, and not the same for all. */
export function pauseBefore(attempt: number): number {
  return attempt * (100 + Math.random() * 200)
}

export const redisLock = {
  /** Milliseconds after which a lock ends by itself (`PX`). */
  lease: 3_000,
  /** Milliseconds that a lock is waited for. */
  wait: 5_000,
  /** Milliseconds between two looks at a lock that another has: from, to. */
  pause: [20, 60],
} as const

/** Milliseconds that a trigger waits for a connection to the database. */
export const connectionWait = 30_000
