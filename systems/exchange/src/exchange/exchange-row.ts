/** An exchange as it is told, and as it stands in its row. */
import type { SagaState, SagaStatus } from '@milena/request-reply'
import type { ClientBase } from 'pg'
import type { Exchange, ExchangeStatus } from '../schemas.ts'
import type { Terms } from './terms.ts'

const statuses: Readonly<Record<SagaState, ExchangeStatus>> = {
  running: 'RUNNING',
  completed: 'COMPLETED',
  compensating: 'COMPENSATING',
  compensated: 'CANCELLED',
}

export function toExchange({ id, state, input, failure }: SagaStatus): Exchange {
  const reason = failure?.code ?? failure?.message
  return {
    exchangeId: id,
    ...(input as Terms),
    status: statuses[state],
    ...(reason !== undefined && { reason }),
  }
}

/** Its row follows its saga, in the same transaction. */
export async function writeExchange(saga: SagaStatus, tx: ClientBase): Promise<void> {
  const { exchangeId, direction, customerId, currency, amount, krwAmount, rate, status, reason } =
    toExchange(saga)
  await tx.query(
    `insert into exchanges (id, direction, customer_id, currency, amount, krw_amount, rate, status, reason, retries)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    on conflict (id) do update set status = $8, reason = $9, retries = $10, changed_at = clock_timestamp()`,
    [
      exchangeId,
      direction,
      customerId,
      currency,
      amount,
      krwAmount,
      rate,
      status,
      reason ?? null,
      retriesOf(saga),
    ],
  )
}

function retriesOf({ steps }: SagaStatus): number {
  const tries = steps.flatMap(({ attempts, compensations }) => [attempts, compensations])
  return tries.reduce((sum, one) => sum + Math.max(0, one - 1), 0)
}
