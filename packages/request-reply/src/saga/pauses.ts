/** Pauses between tries, in milliseconds: always the same, or doubled each time up to a bound. */
export type Pauses = number | { readonly from: number; readonly upTo: number }

/** The pause after so many tries, the first one counting 1. */
export function pauseAfter(tries: number, pauses: Pauses): number {
  if (typeof pauses === 'number') return pauses
  const { from, upTo } = pauses
  return Math.min(upTo, from * 2 ** Math.min(tries - 1, 30))
}
