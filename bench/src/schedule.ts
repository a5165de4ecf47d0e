/** Numbers in [0, 1), the same for the same seed (mulberry32): a run can be repeated. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Times of a Poisson process in milliseconds from 0, `rate` a second, up to `milliseconds`. */
export function* poissonSchedule(
  rate: number,
  milliseconds: number,
  random: () => number,
): Generator<number, void> {
  // Gaps between the events of a Poisson process are exponential; 1 - random() is never 0.
  const gap = (): number => (-Math.log(1 - random()) * 1000) / rate
  for (let at = gap(); at < milliseconds; at += gap()) yield at
}

export function shuffle<Item>(items: readonly Item[], random: () => number): Item[] {
  return items
    .map((item) => ({ item, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
