/** The payment provider's HTTP interface. */
import { performance } from 'node:perf_hooks'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { type App, createApp, idSchema, ProblemError } from '@milena/hosting'
import { keySchema, refundIdSchema } from '../ids.ts'
import { behaviourSchema, type Behaviour } from './behaviour.ts'
import type { Ledger, Movement, MovementRequest } from './ledger.ts'

const amount = z.number().int().positive()
const expiresAt = z
  .number()
  .int()
  .optional()
  .describe('milliseconds since the Unix epoch; later than this the work is refused with 410 and never begun')
const chargeSchema = z.object({ orderId: idSchema, amount, method: z.string().optional(), expiresAt })
const refundSchema = z.object({ orderId: idSchema, refundId: refundIdSchema.optional(), amount, expiresAt })
const headersSchema = z.looseObject({ 'idempotency-key': keySchema.optional() })

/** Milliseconds after which an unanswered connection is cut. */
const silence = 120_000

export async function createProviderApp(ledger: Ledger): Promise<App> {
  const app = await createApp('Payment provider', 'cut')
  const initial = ledger.behaviour
  const silent = new Set<NodeJS.Timeout>()
  app.addHook('onClose', () => silent.forEach(clearTimeout))

  async function perform(
    request: MovementRequest,
    key: string | undefined,
    reply: FastifyReply,
  ): Promise<unknown> {
    const isSilent = Math.random() < ledger.behaviour.silentRate
    const began = performance.now()
    const performed = await ledger.perform(request, key)
    const took = performance.now() - began
    if (isSilent) {
      void reply.hijack()
      const timer = setTimeout(() => reply.raw.destroy(), silence)
      silent.add(timer)
      reply.raw.once('close', () => {
        clearTimeout(timer)
        silent.delete(timer)
      })
      return reply
    }
    if (performed.result === 'key-reused') {
      throw new ProblemError(422, 'Idempotency-Key was used before with other parameters')
    }
    if (performed.result === 'expired') throw new ProblemError(410, 'expiresAt has passed: nothing was done')
    const { movement, replayed } = performed
    if (replayed) void reply.header('idempotent-replayed', 'true')
    void reply.code(movement.status === 'approved' ? 200 : movement.status === 'declined' ? 402 : 500)
    return { ...describe(movement), tookMs: Math.round(took * 1000) / 1000 }
  }

  app.post('/charges', { schema: { body: chargeSchema, headers: headersSchema } }, (request, reply) =>
    perform({ kind: 'charge', ...request.body }, request.headers['idempotency-key'], reply),
  )
  app.post('/refunds', { schema: { body: refundSchema, headers: headersSchema } }, (request, reply) =>
    perform({ kind: 'refund', ...request.body }, request.headers['idempotency-key'], reply),
  )
  app.get('/charges/:orderId', { schema: { params: z.object({ orderId: idSchema }) } }, (request) => {
    const found = ledger.find(request.params.orderId)
    // With the provider's clock: a charge whose expiresAt is before `now` and that is unheard of will never be.
    const now = Date.now()
    if (found === undefined) {
      throw new ProblemError(404, 'No charge of this order', { orderId: request.params.orderId, now })
    }
    return { ...describe(found.charge), refunds: found.refunds.map(describe), now }
  })
  // It stands for a third party on this machine: who can reach it can charge, so its books have no key of their own.
  app.get('/ledger', () =>
    ledger.approved().map(({ orderId, kind, amount, approvalId, attempts, at }) => ({
      orderId,
      kind,
      amount,
      approvalId,
      attempts,
      at: new Date(at).toISOString(),
    })),
  )
  app.get('/behaviour', () => ledger.behaviour)
  app.put('/behaviour', { schema: { body: behaviourSchema } }, (request) => {
    ledger.behaviour = { ...initial, ...request.body } as Behaviour
    return ledger.behaviour
  })
  app.get('/health', () => ({ status: 'ok' }))
  return app
}

function describe({
  orderId,
  refundId,
  amount,
  status,
  approvalId,
  reason,
}: Movement): Record<string, unknown> {
  return { orderId, refundId, amount, status, approvalId, reason }
}
