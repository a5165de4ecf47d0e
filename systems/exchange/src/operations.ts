/** The commands between the exchange service and the account services, and the names of topics and groups: those of S5's document (docs/systems.md). */
import { bytes, defineOperation, type Operation } from '@milena/request-reply'
import { z } from 'zod'

/** BUY: the customer pays in KRW and gets foreign currency. SELL: the reverse. */
export const directions = ['BUY', 'SELL'] as const
export type Direction = (typeof directions)[number]

export const currencies = ['KRW', 'USD', 'EUR', 'JPY'] as const
export type Currency = (typeof currencies)[number]
export const foreignCurrencies = ['USD', 'EUR', 'JPY'] as const
export type ForeignCurrency = (typeof foreignCurrencies)[number]

/** What an account service does for an exchange: each kind at most once. */
export const movementKinds = ['withdrawal', 'deposit'] as const
export type MovementKind = (typeof movementKinds)[number]

export const accountServices = ['krw-account', 'fx-account'] as const
export type AccountService = (typeof accountServices)[number]

/** The currencies whose accounts a service keeps. */
export const currenciesOf: Readonly<Record<AccountService, readonly Currency[]>> = {
  'krw-account': ['KRW'],
  'fx-account': foreignCurrencies,
}

export function withdrawsFrom(direction: Direction): AccountService {
  return direction === 'BUY' ? 'krw-account' : 'fx-account'
}

export function depositsTo(direction: Direction): AccountService {
  return direction === 'BUY' ? 'fx-account' : 'krw-account'
}

const cancelSchema = z.object({ exchangeId: z.string() })
const cancelledSchema = z.object({
  exchangeId: z.string(),
  /**
   * `undone`: the money went back. `nothing`: there was no such movement, or it was refused; one that comes later is
   * refused.
   */
  outcome: z.enum(['undone', 'nothing']),
})
export type CancelRequest = z.infer<typeof cancelSchema>
export type Cancelled = z.infer<typeof cancelledSchema>
export type CancelOperation = Operation<CancelRequest, CancelRequest, Cancelled, Cancelled>

/** The commands of one account service; both stand in one topic, so that those of one exchange keep their order. */
export interface AccountCommands {
  readonly cancel: Readonly<Record<MovementKind, CancelOperation>>
  readonly requestTopic: string
  /** Whatever stands in the response topic and answers no command that somebody waits for: it came a second time. */
  readonly stray: Operation<Uint8Array, Buffer, void, void>
  readonly responseTopic: string
}

export type Commands = Readonly<Record<AccountService, AccountCommands>>

/** `prefix` keeps several runs on one cluster apart. */
export function defineCommands(prefix: string): Commands {
  const of = (service: AccountService): AccountCommands => {
    const requestTopic = `${prefix}${service}.withdrawal-cancel-request`
    const cancel = (kind: MovementKind): CancelOperation =>
      defineOperation({
        name: `${service}.${kind}-cancel`,
        topic: requestTopic,
        request: cancelSchema,
        reply: cancelledSchema,
        key: ({ exchangeId }) => exchangeId,
      })
    const responseTopic = `${prefix}${service}.withdrawal-cancel-response`
    return {
      cancel: { withdrawal: cancel('withdrawal'), deposit: cancel('deposit') },
      requestTopic,
      stray: defineOperation({ name: `${service}.stray-reply`, topic: responseTopic, request: bytes() }),
      responseTopic,
    }
  }
  return { 'krw-account': of('krw-account'), 'fx-account': of('fx-account') }
}

export function groupOf(prefix: string, service: string): string {
  return `${prefix}${service}`
}
