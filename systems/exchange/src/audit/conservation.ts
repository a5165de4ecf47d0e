/** What must hold of the money, always and at the end; each problem is told in words. */
import type { AccountService, Currency, Direction, ForeignCurrency } from '../operations.ts'
import type { ExchangeStatus } from '../schemas.ts'

/** The books of one account service, read at one moment. */
export interface Books {
  readonly service: AccountService
  /** Of all accounts in a currency, the bank's own included. */
  readonly totals: readonly {
    readonly currency: Currency
    readonly opening: number
    readonly balance: number
  }[]
  /** Movements and cancellations whose two entries do not add up to nothing. */
  readonly unbalanced: readonly {
    readonly exchangeId: string
    readonly kind: string
    readonly entry: string
    readonly sum: number
    readonly entries: number
  }[]
  /** Accounts that are not what their entries make of their opening balance. */
  readonly misstated: readonly {
    readonly owner: string
    readonly currency: Currency
    readonly balance: number
    readonly expected: number
  }[]
}

/** An exchange as its service has it. */
export interface ExchangeRow {
  readonly id: string
  readonly direction: Direction
  readonly customerId: string
  readonly currency: ForeignCurrency
  readonly amount: number
  readonly krwAmount: number
  readonly status: ExchangeStatus
}

/** What a customer has got of an exchange in a currency, all entries together. */
export interface Effect {
  readonly exchangeId: string
  readonly customerId: string
  readonly currency: Currency
  readonly amount: number
}

/** Holds at every moment: no money appears or vanishes, in any currency. */
export function problemsOfBooks({ service, totals, unbalanced, misstated }: Books): readonly string[] {
  return [
    ...totals
      .filter(({ opening, balance }) => opening !== balance)
      .map(
        ({ currency, opening, balance }) =>
          `${service}: ${currency} began with ${opening} and is now ${balance}: ${signed(balance - opening)}`,
      ),
    ...unbalanced.map(
      ({ exchangeId, kind, entry, sum, entries }) =>
        `${service}: the ${entry} of ${exchangeId}'s ${kind} has ${entries} entries that add up to ${signed(sum)}`,
    ),
    ...misstated.map(
      ({ owner, currency, balance, expected }) =>
        `${service}: ${owner} has ${balance} ${currency}; the entries say ${expected}`,
    ),
  ]
}

/** Holds at the end: every exchange has taken place on both sides, or on neither. */
export function problemsOfExchanges(
  exchanges: readonly ExchangeRow[],
  effects: readonly Effect[],
): readonly string[] {
  const left = new Map<string, Map<string, number>>()
  for (const { exchangeId, customerId, currency, amount } of effects) {
    const of = left.get(exchangeId) ?? new Map<string, number>()
    left.set(exchangeId, of)
    const account = `${customerId} ${currency}`
    of.set(account, (of.get(account) ?? 0) + amount)
  }
  const problems: string[] = []
  for (const exchange of exchanges) {
    const { id, status } = exchange
    const found = left.get(id) ?? new Map<string, number>()
    left.delete(id)
    if (status === 'RUNNING' || status === 'COMPENSATING') problems.push(`${id} is still ${status}`)
    const wanted = status === 'COMPLETED' ? expected(exchange) : new Map<string, number>()
    for (const account of new Set([...wanted.keys(), ...found.keys()])) {
      const [is, should] = [found.get(account) ?? 0, wanted.get(account) ?? 0]
      if (is !== should)
        problems.push(`${id} is ${status}, and ${account} is ${signed(is)} instead of ${signed(should)}`)
    }
  }
  for (const [id, accounts] of left)
    for (const [account, amount] of accounts)
      if (amount !== 0)
        problems.push(`${id} is no exchange that is known, and ${account} is ${signed(amount)}`)
  return problems
}

function expected({ direction, customerId, currency, amount, krwAmount }: ExchangeRow): Map<string, number> {
  const sign = direction === 'BUY' ? 1 : -1
  return new Map([
    [`${customerId} ${currency}`, sign * amount],
    [`${customerId} KRW`, -sign * krwAmount],
  ])
}

function signed(amount: number): string {
  return amount > 0 ? `+${amount}` : String(amount)
}
