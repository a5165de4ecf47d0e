/** What a currency is worth. All in whole numbers, so that each currency's money can be added up and nothing is lost in between. */
import type { Direction, ForeignCurrency } from '../operations.ts'

/** KRW for 10 000 units, such as dollars. */
const middle: Readonly<Record<ForeignCurrency, number>> = {
  USD: 13_854_000,
  EUR: 15_021_500,
  JPY: 92_310,
}
/** The smallest units in a unit: cents. KRW has none. */
const smallest: Readonly<Record<ForeignCurrency, number>> = { USD: 100, EUR: 100, JPY: 1 }

/** The rate at this time, in KRW for 10 000 units: it moves by up to half a percent, each second. */
export function rateAt(now: number, currency: ForeignCurrency): number {
  const wave = Math.sin(Math.floor(now / 1_000) + currency.charCodeAt(0)) * 0.005
  return Math.round(middle[currency] * (1 + wave))
}

/**
 * What an amount of foreign currency, in its smallest unit, is worth in KRW: rounded up when it is bought, down when it is
 * sold.
 */
export function toKrw(direction: Direction, amount: number, currency: ForeignCurrency, rate: number): number {
  const units = 10_000n * BigInt(smallest[currency])
  const product = BigInt(amount) * BigInt(rate)
  const down = product / units
  return Number(direction === 'BUY' && product % units !== 0n ? down + 1n : down)
}
