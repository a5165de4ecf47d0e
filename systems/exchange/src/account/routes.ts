/** An account service over HTTP. */
import { idSchema, problem, ProblemError, unavailable, type App } from '@milena/hosting'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { currencies, movementKinds, type Currency, type MovementKind } from '../operations.ts'
import { amountSchema } from '../schemas.ts'
import { behaviourSchema, isOf, type Behaviour } from './behaviour.ts'
import type { Ledger, Moved } from './ledger.ts'

/** What a refused movement says, in `code` of its problem; besides, why the ledger refuses it. */
const accountErrors = {
  /** On purpose. */
  depositRefused: 'DEPOSIT_REFUSED',
  /** It was cancelled, before it came or since. */
  cancelled: 'CANCELLED',
  /** The exchange has such a movement with another content. */
  conflict: 'CONFLICT',
} as const

const doneSchema = z.object({
  exchangeId: z.string(),
  status: z.literal('DONE'),
  again: z.boolean().describe('it had been done before; now nothing was'),
})

const paths = { withdrawal: '/withdrawals', deposit: '/deposits' } as const

export interface AccountRoutes {
  readonly ledger: Ledger
  readonly currencies: readonly Currency[]
  /** How it behaves at present; `PUT /behaviour` changes it. */
  behaviour: Behaviour
}

export function addAccountRoutes(app: App, account: AccountRoutes): void {
  const { ledger } = account
  const kept = (currency: Currency): boolean => account.currencies.includes(currency)
  const movementSchema = z.strictObject({
    exchangeId: idSchema,
    customerId: idSchema,
    currency: z.enum(currencies).refine(kept, `this service keeps ${account.currencies.join(', ')}`),
    amount: amountSchema,
  })

  for (const kind of movementKinds)
    app.post(
      paths[kind],
      {
        schema: {
          summary: `The ${kind} of an exchange, once: the same again gives the first answer`,
          body: movementSchema,
          response: {
            200: doneSchema,
            400: problem('an invalid request; every problem is listed'),
            409: problem('CANCELLED, or CONFLICT: the same exchange with another content'),
            422: problem('INSUFFICIENT_FUNDS, NO_SUCH_ACCOUNT, DEPOSIT_REFUSED: nothing was moved'),
            503: problem('not now, or it is not known whether it was done: the same again is done once'),
          },
        },
      },
      async ({ body, raw }, reply) => {
        const { exchangeId } = body
        const { behaviour } = account
        if (Math.random() < behaviour.busy) throw unavailable('busy')
        if (kind === 'deposit') {
          if (isOf(behaviour.late, 'late', exchangeId)) await sleep(behaviour.lateMs)
        }
        const isRefused = kind === 'deposit' && isOf(behaviour.refused, 'refused', exchangeId)
        const moved = await ledger.move(
          { ...body, kind },
          isRefused ? accountErrors.depositRefused : undefined,
        )
        if (kind === 'deposit' && isOf(behaviour.lost, 'lost', exchangeId)) {
          reply.hijack()
          raw.socket.destroy()
          return reply
        }
        return reply.send(done(moved, exchangeId))
      },
    )

  app.get(
    '/accounts/:customerId',
    {
      schema: {
        summary: 'The balances of a customer; those of the bank itself are under `bank`',
        params: z.object({ customerId: idSchema }),
        response: { 200: z.array(z.object({ currency: z.string(), balance: z.number() })) },
      },
    },
    async ({ params }) => [...(await ledger.balances(params.customerId))],
  )
  app.get(
    '/movements/:exchangeId',
    {
      schema: {
        summary: 'What was done for an exchange',
        params: z.object({ exchangeId: idSchema }),
        response: {
          200: z.array(z.object({ kind: z.string(), state: z.string(), reason: z.string().nullable() })),
        },
      },
    },
    async ({ params }) => [...(await ledger.find(params.exchangeId))],
  )
  app.put(
    '/behaviour',
    {
      schema: {
        summary: 'What goes wrong on purpose',
        body: behaviourSchema,
        response: { 200: behaviourSchema },
      },
    },
    ({ body }) => (account.behaviour = body),
  )
}

function done(moved: Moved, exchangeId: string): z.infer<typeof doneSchema> {
  switch (moved.state) {
    case 'done':
      return { exchangeId, status: 'DONE', again: moved.again }
    case 'refused':
      throw refusal(422, moved.reason, exchangeId)
    case 'cancelled':
      throw refusal(409, accountErrors.cancelled, exchangeId)
    default:
      throw refusal(409, accountErrors.conflict, exchangeId)
  }
}

function refusal(status: 409 | 422, code: string, exchangeId: string): ProblemError {
  return new ProblemError(status, 'Refused', { code, exchangeId })
}

export function pathOf(kind: MovementKind): string {
  return paths[kind]
}
