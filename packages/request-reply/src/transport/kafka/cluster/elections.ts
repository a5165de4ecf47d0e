/** How long whoever opens waits for the broker that is to answer it: one may have died, and another be elected. */

/** Milliseconds: longer than any election after a broker's death. */
export const LONGEST_ELECTION = 60_000
/** Milliseconds while no broker says anything: then no election is waited for. */
export const LONGEST_SILENCE = 20_000
