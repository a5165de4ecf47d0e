/** The storm: which trigger is fired when, by whom, at which shops. The same for every way, from one seed. */
import { apply, kinds, type Action, type Kind, type Shop } from '../domain/radius.ts'

export interface Trigger {
  /** From 1 on, in the order in which they are fired. */
  readonly number: number
  /** Milliseconds after the storm's beginning; those of a wave have the same. */
  readonly at: number
  /** Which of the requesters it is fired at, from 0 on. */
  readonly requester: number
  readonly kind: Kind
  readonly action: Action
  /** In the order in which it names them, each once. */
  readonly shops: readonly string[]
}

export interface StormOptions {
  readonly seed: number
  readonly triggers: number
  /** Triggers a second, on the whole. */
  readonly rate: number
  /** How many are fired at the same moment. */
  readonly wave: number
  readonly requesters: number
  /** The shops that it is about: `shop-1` to this one. */
  readonly shops: number
  /** How many of them a trigger names. */
  readonly each: number
}

const untouched: Shop = { base: 1_000, radius: 1_000, active: [] }

/**
 * Each trigger names neighbouring shops in an order of its own, as those do that come from different sources; the next
 * one's are other neighbours, so that they overlap. What is going on with most of them ends, else it begins: where two
 * overlap, some shops refuse.
 */
export function createStorm(options: StormOptions): readonly Trigger[] {
  const { triggers, rate, wave, requesters, shops, each } = options
  const random = seeded(options.seed)
  const expected = new Map<number, Shop>()
  const below = (bound: number): number => Math.floor(random() * bound)
  return Array.from({ length: triggers }, (_, index) => {
    const first = 1 + below(shops - each + 1)
    const named = Array.from({ length: each }, (__, place) => first + place)
    const kind = kinds[below(kinds.length)]!
    const active = named.filter((shop) => expected.get(shop)?.active.includes(kind) === true)
    const action: Action = 2 * active.length > each ? 'end' : 'begin'
    for (const shop of named) {
      const applied = apply(expected.get(shop) ?? untouched, { kind, action })
      if ('shop' in applied) expected.set(shop, applied.shop)
    }
    return {
      number: index + 1,
      at: (Math.floor(index / wave) * wave * 1_000) / rate,
      requester: index % requesters,
      kind,
      action,
      shops: shuffled(named, below).map((shop) => `shop-${shop}`),
    }
  })
}

/** mulberry32. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function shuffled(items: readonly number[], below: (bound: number) => number): readonly number[] {
  const mixed = [...items]
  for (let last = mixed.length - 1; last > 0; last--) {
    const other = below(last + 1)
    const kept = mixed[last]!
    mixed[last] = mixed[other]!
    mixed[other] = kept
  }
  return mixed
}
