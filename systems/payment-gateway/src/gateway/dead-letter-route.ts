/** The dead letters, for whoever watches over payments. */
import type { z } from 'zod'
import type { App } from '@milena/hosting'
import type { PaymentStore } from './payment-store.ts'
import { refundIdOf, type DeadLetter } from './payment.ts'
import { deadLettersSchema } from './schemas.ts'

/** How many are shown. */
const shown = 200

export function addDeadLetterRoute(app: App, store: PaymentStore): void {
  app.get(
    '/dead-letters',
    {
      schema: {
        operationId: 'getDeadLetters',
        summary: `Payments whose outcome nobody knew when their caller was answered; the latest ${shown}`,
        response: { 200: deadLettersSchema },
      },
    },
    async () => (await store.deadLetters(shown)).map(view),
  )
}

function view(letter: DeadLetter): z.infer<typeof deadLettersSchema>[number] {
  return {
    kind: letter.kind,
    orderId: letter.orderId,
    ...(letter.kind === 'refund' && { refundId: refundIdOf(letter) }),
    amount: letter.amount,
    reason: letter.reason,
    at: letter.at.toISOString(),
    ...(letter.resolvedAt !== null && { resolvedAt: letter.resolvedAt.toISOString() }),
    ...(letter.resolution !== null && { resolution: letter.resolution }),
  }
}
