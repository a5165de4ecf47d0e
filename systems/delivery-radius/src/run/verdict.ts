/** What a way has made of the storm: what its callers were told, held against what the database has seen. */
import type { Told } from '../ways/way.ts'
import type { Trigger } from './storm.ts'

/** A change that was made, in the order in which they were. */
export interface Made {
  readonly shop: string
  /** Its trigger's. */
  readonly number: number
  /** Its place among those of its shop in the order in which they were accepted; of the same place none is first. */
  readonly accepted: number
  readonly overwrote: boolean
}

export interface Verdict {
  /** Changes that were fired: each trigger's shops. */
  readonly fired: number
  readonly made: number
  /** Refused by the rules, and the caller was told. */
  readonly refused: number
  /** Not made, since something went wrong, and the caller was told. */
  readonly failedTold: number
  /** Of which the caller was told nothing. */
  readonly untold: number
  /** The caller was told that they were made, or nothing, and they are not there; or another has overwritten them. */
  readonly lost: number
  /** Made after one that was accepted later. */
  readonly outOfOrder: number
  /** Made after one that was fired later. */
  readonly outOfFiringOrder: number
  /** Made, although the caller was told that they were not. */
  readonly toldWrong: number
}

export function judge(
  storm: readonly Trigger[],
  told: ReadonlyMap<number, Told>,
  made: readonly Made[],
): Verdict {
  const firedAt = new Map(storm.map(({ number, at }) => [number, at]))
  const there = new Set(made.map(({ number, shop }) => `${number} ${shop}`))
  const count = { fired: 0, refused: 0, failedTold: 0, untold: 0, lost: 0, toldWrong: 0 }
  for (const { number, shops } of storm) {
    const isThere = (shop: string): boolean => there.has(`${number} ${shop}`)
    const outcome = told.get(number) ?? { made: [], refused: [], failed: [], unknown: shops }
    count.fired += shops.length
    count.refused += outcome.refused.length
    count.failedTold += outcome.failed.length
    count.untold += outcome.unknown.length
    count.lost += [...outcome.made, ...outcome.unknown].filter((shop) => !isThere(shop)).length
    count.toldWrong += [...outcome.refused, ...outcome.failed].filter(isThere).length
  }
  return {
    ...count,
    lost: count.lost + made.filter(({ overwrote }) => overwrote).length,
    made: made.length,
    outOfOrder: behind(made, ({ accepted }) => accepted),
    outOfFiringOrder: behind(made, ({ number }) => firedAt.get(number)!),
  }
}

/** How many were made after one of the same shop that has a later place. */
function behind(made: readonly Made[], placeOf: (one: Made) => number): number {
  const latest = new Map<string, number>()
  let count = 0
  for (const one of made) {
    const place = placeOf(one)
    const before = latest.get(one.shop) ?? -1
    if (place < before) count++
    else latest.set(one.shop, place)
  }
  return count
}
