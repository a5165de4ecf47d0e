/** The exchange service over HTTP. */
import { idSchema, problem, ProblemError, sendProblem, unavailable, type App } from '@milena/hosting'
import { isMilenaError, type SagaDecision, type Sagas } from '@milena/request-reply'
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import {
  exchangeRequestSchema,
  exchangeSchema,
  mostAmount,
  notExchangedSchema,
  type ExchangeRequest,
} from '../schemas.ts'
import { toExchange } from './exchange-row.ts'
import type { ExchangeSaga } from './exchange.ts'
import { rateAt, toKrw } from './rates.ts'
import type { Terms } from './terms.ts'

export function addExchangeRoutes(app: App, sagas: Sagas, exchange: ExchangeSaga): void {
  app.post(
    '/exchanges',
    {
      schema: {
        summary: 'Exchange, once: answered as soon as it is known whether it takes place',
        body: exchangeRequestSchema,
        response: {
          200: exchangeSchema.describe('it has taken place'),
          400: problem('an invalid request; every problem is listed'),
          409: problem('the same exchangeId with another content'),
          422: notExchangedSchema,
          503: problem('not now; ask again with the same exchangeId, or ask for it'),
        },
      },
    },
    async ({ body }, reply) => {
      const id = body.exchangeId ?? randomUUID()
      const { outcome, status } = await begin(sagas, exchange, id, body)
      const { status: exchangeStatus, ...terms } = toExchange(status)
      if (outcome === 'completed') return reply.code(200).send({ ...terms, status: exchangeStatus })
      const title = 'The exchange does not take place'
      return sendProblem(reply, { ...terms, title, status: 422, code: 'NOT_EXCHANGED', exchangeStatus })
    },
  )

  app.get(
    '/exchanges/:id',
    {
      schema: {
        summary: 'How an exchange stands',
        params: z.object({ id: idSchema }),
        response: { 200: exchangeSchema, 404: problem('there is none') },
      },
    },
    async ({ params: { id } }) => {
      const found = await sagas.get(id)
      if (found === undefined) throw new ProblemError(404, 'No such exchange', { exchangeId: id })
      return toExchange(found)
    },
  )
}

async function begin(
  sagas: Sagas,
  exchange: ExchangeSaga,
  id: string,
  request: ExchangeRequest,
): Promise<SagaDecision<unknown>> {
  try {
    return await decided(sagas, exchange, id, quote(request))
  } catch (error) {
    if (!isMilenaError(error) || error.code !== 'MILENA_SAGA_CONFLICT') throw error
  }
  // It was begun before, perhaps at another rate: that one holds.
  const earlier = (await sagas.get(id))?.input as Terms | undefined
  if (earlier === undefined || !isSame(earlier, request))
    throw new ProblemError(409, 'This exchange exists with other content', { exchangeId: id })
  return decided(sagas, exchange, id, earlier)
}

async function decided(
  sagas: Sagas,
  exchange: ExchangeSaga,
  id: string,
  terms: Terms,
): Promise<SagaDecision<unknown>> {
  try {
    const run = await sagas.run(exchange, id, terms)
    return await run.decided
  } catch (error) {
    const passes =
      isMilenaError(error) && (error.code === 'MILENA_OVERLOADED' || error.code === 'MILENA_CLOSED')
    throw passes ? unavailable(error.message) : error
  }
}

/** The terms of an exchange: the rate of now, which it keeps. */
function quote({ direction, customerId, currency, amount }: ExchangeRequest): Terms {
  const rate = rateAt(Date.now(), currency)
  const krwAmount = toKrw(direction, amount, currency, rate)
  if (krwAmount === 0)
    throw new ProblemError(400, 'Invalid request', { detail: 'amount: is worth less than 1 KRW' })
  if (krwAmount > mostAmount)
    throw new ProblemError(400, 'Invalid request', { detail: `amount: is worth more than ${mostAmount} KRW` })
  return { direction, customerId, currency, amount, krwAmount, rate }
}

function isSame(terms: Terms, request: ExchangeRequest): boolean {
  return (['direction', 'customerId', 'currency', 'amount'] as const).every(
    (name) => terms[name] === request[name],
  )
}
