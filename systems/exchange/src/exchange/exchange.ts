/**
 * An exchange: money is withdrawn in one currency and deposited in the other, both over HTTP, while the customer waits. What
 * fails then, or may have failed, is undone by commands that nobody waits for.
 */
import { command, defineSaga, fixed, type CommandWork, type Saga } from '@milena/request-reply'
import type { ClientBase } from 'pg'
import {
  depositsTo,
  withdrawsFrom,
  type AccountService,
  type Cancelled,
  type Commands,
  type MovementKind,
} from '../operations.ts'
import type { AccountClient, Asked } from './account-client.ts'
import { writeExchange } from './exchange-row.ts'
import { termsSchema, type Terms } from './terms.ts'

export type Accounts = Readonly<Record<AccountService, AccountClient>>
export type ExchangeSaga = Saga<
  Terms,
  Terms,
  { readonly withdrawal: void; readonly deposit: void },
  ClientBase
>

export function defineExchange(accounts: Accounts, commands: Commands): ExchangeSaga {
  const tries = { timeout: 5_000, retry: { attempts: 2, backoff: fixed(200) } }
  const compensation = { timeout: 120_000, stuckAfterAttempts: 20, stuckAfter: 300_000 }

  return defineSaga({ name: 'exchange', input: termsSchema, changed: writeExchange })
    .step('withdrawal', (step) => accounts[from(step)].move('withdrawal', step, paid(step.input)), {
      compensate: cancel('withdrawal', from),
      compensation,
      ...tries,
    })
    .step('deposit', (step) => accounts[to(step)].move('deposit', step, received(step.input)), {
      compensate: cancel('deposit', to),
      compensation,
      ...tries,
    })

  function cancel(kind: MovementKind, by: (step: Step) => AccountService): CommandWork<Step, Cancelled> {
    return command(
      (step: Step) => commands[by(step)].cancel[kind],
      ({ sagaId }) => ({ exchangeId: sagaId }),
      { replyTo: (step) => commands[by(step)].responseTopic },
    )
  }
}

interface Step {
  readonly sagaId: string
  readonly input: Terms
}

const from = ({ input }: Step): AccountService => withdrawsFrom(input.direction)
const to = ({ input }: Step): AccountService => depositsTo(input.direction)

/** What the customer pays, and what he receives. */
function paid(terms: Terms): Asked {
  return terms.direction === 'BUY' ? inKrw(terms) : inForeign(terms)
}

function received(terms: Terms): Asked {
  return terms.direction === 'BUY' ? inForeign(terms) : inKrw(terms)
}

function inKrw({ customerId, krwAmount }: Terms): Asked {
  return { customerId, currency: 'KRW', amount: krwAmount }
}

function inForeign({ customerId, currency, amount }: Terms): Asked {
  return { customerId, currency, amount }
}
