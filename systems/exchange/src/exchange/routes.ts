/** The exchange service over HTTP. */
import {
  idSchema,
  isAway,
  isUndone,
  problem,
  ProblemError,
  sendProblem,
  unavailable,
  type App,
} from '@milena/hosting'
import { isMilenaError, type SagaDecision, type Sagas } from '@milena/request-reply'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import {
  exchangeRequestSchema,
  exchangeSchema,
  mostAmount,
  notExchangedSchema,
  undecidedSchema,
  type ExchangeRequest,
} from '../schemas.ts'
import { toExchange } from './exchange-row.ts'
import type { ExchangeSaga } from './exchange.ts'
import { rateAt, toKrw } from './rates.ts'
import type { Terms } from './terms.ts'

/** @param patience milliseconds that a caller waits for the decision */
export function addExchangeRoutes(app: App, sagas: Sagas, exchange: ExchangeSaga, patience: number): void {
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
          503: problem('not now: nothing was begun'),
          504: undecidedSchema,
        },
      },
    },
    async ({ body }, reply) => {
      const id = body.exchangeId ?? randomUUID()
      const decision = await inTime(begin(sagas, exchange, id, body), patience)
      if (decision === undefined) throw undecided(id)
      const { outcome, status } = decision
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
  const found = await sagas.get(id).catch((error: unknown) => {
    throw isAway(error) ? undecided(id) : error
  })
  const earlier = found?.input as Terms | undefined
  if (earlier === undefined || !isSame(earlier, request))
    throw new ProblemError(409, 'This exchange exists with other content', { exchangeId: id })
  return decided(sagas, exchange, id, earlier)
}

/** `undefined`: it takes longer than that. */
async function inTime<Result>(work: Promise<Result>, limit: number): Promise<Result | undefined> {
  const ended = new AbortController()
  const late = sleep(limit, undefined, { signal: ended.signal }).catch(() => undefined)
  try {
    return await Promise.race([work, late])
  } finally {
    ended.abort()
  }
}

/** It may have begun, and then it goes on, here or in another process. With its id: its caller may have given none. */
function undecided(exchangeId: string): ProblemError {
  return new ProblemError(504, 'Not decided in time', {
    code: 'NOT_DECIDED',
    exchangeId,
    detail: `GET /exchanges/${exchangeId} tells; or send it again with this exchangeId`,
  })
}

async function decided(
  sagas: Sagas,
  exchange: ExchangeSaga,
  id: string,
  terms: Terms,
): Promise<SagaDecision<unknown>> {
  const { decided } = await sagas.run(exchange, id, terms).catch((error: unknown) => {
    const isRefused =
      isMilenaError(error) && (error.code === 'MILENA_OVERLOADED' || error.code === 'MILENA_CLOSED')
    if (isRefused) throw unavailable(error.message)
    if (isAway(error)) throw isUndone(error) ? unavailable('it could not be stored') : undecided(id)
    throw error
  })
  return decided.catch((error: unknown) => {
    // This process ends, and another one goes on with it.
    throw isMilenaError(error) && error.code === 'MILENA_CLOSED' ? undecided(id) : error
  })
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
