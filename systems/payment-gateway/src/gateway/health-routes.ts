/** Whether a gateway is alive and ready, and its figures. */
import { z } from 'zod'
import { type App, problem, unavailable } from '@milena/hosting'

export interface GatewayHealth {
  /** Whether the gateway takes new payments. */
  isReady(): Promise<boolean>
  stats(): unknown
}

export function addHealthRoutes(app: App, health: GatewayHealth): void {
  app.get(
    '/health',
    {
      schema: {
        operationId: 'getHealth',
        summary: 'The process is alive',
        response: { 200: z.object({ status: z.string() }) },
      },
    },
    () => ({
      status: 'ok',
    }),
  )
  app.get(
    '/ready',
    {
      schema: {
        operationId: 'getReady',
        summary: 'Payments are taken',
        response: {
          200: z.object({ status: z.string() }),
          503: problem('starting, closing, no database, or replies cannot be received'),
        },
      },
    },
    async () => {
      if (!(await health.isReady())) throw unavailable('not ready')
      return { status: 'ready' }
    },
  )
  app.get(
    '/stats',
    { schema: { operationId: 'getStats', summary: 'What the requester has done, in figures' } },
    () => health.stats(),
  )
}
