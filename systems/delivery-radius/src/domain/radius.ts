/**
 * What a change does to a shop. Its result depends on the order of the changes, so that whoever applies them in another
 * order ends in another state: the reduction that came last counts, and when it ends, the one before it.
 */

export const kinds = ['rider-shortage', 'bad-weather', 'system-failure'] as const
export type Kind = (typeof kinds)[number]
export type Action = 'begin' | 'end'

export interface Change {
  readonly kind: Kind
  readonly action: Action
}

export interface Shop {
  /** Metres within which it delivers when nothing is wrong. */
  readonly base: number
  /** Metres within which it delivers now. */
  readonly radius: number
  /** What is going on, in the order in which it began. */
  readonly active: readonly Kind[]
}

/** Hundredths of the base that are left. */
const left: Readonly<Record<Kind, number>> = { 'rider-shortage': 60, 'bad-weather': 40, 'system-failure': 10 }

export type Refusal = 'ALREADY_ACTIVE' | 'NOT_ACTIVE'
export type Applied = { readonly shop: Shop } | { readonly refused: Refusal }

/** The shop after the change, or why the change cannot be made. */
export function apply(shop: Shop, { kind, action }: Change): Applied {
  const isActive = shop.active.includes(kind)
  if (action === 'begin' && isActive) return { refused: 'ALREADY_ACTIVE' }
  if (action === 'end' && !isActive) return { refused: 'NOT_ACTIVE' }
  const active = action === 'begin' ? [...shop.active, kind] : shop.active.filter((each) => each !== kind)
  return { shop: { base: shop.base, active, radius: radiusOf(shop.base, active.at(-1)) } }
}

function radiusOf(base: number, latest: Kind | undefined): number {
  return latest === undefined ? base : Math.round((base * left[latest]) / 100)
}
