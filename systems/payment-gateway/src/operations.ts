/** The contracts between gateways and workers, and the names of topics and groups: those of S1's document (docs/systems.md). */
import { defineOperation, type Operation } from '@milena/request-reply'
import { idSchema } from '@milena/hosting'
import { z } from 'zod'
import { refundIdSchema } from './ids.ts'

export const methods = ['card', 'bank', 'wallet'] as const
export const methodSchema = z.enum(methods)
export type Method = z.infer<typeof methodSchema>

/** What decides the partition of a request. */
export const partitionings = ['key', 'kind'] as const
export type Partitioning = (typeof partitionings)[number]

const movement = {
  orderId: idSchema,
  /** In the currency's smallest unit. */
  amount: z.int().positive(),
  method: methodSchema,
  /** Milliseconds since the Unix epoch; the provider begins nothing after it. */
  expiresAt: z.int(),
}
const approveSchema = z.object(movement)
const refundSchema = z.object({ ...movement, refundId: refundIdSchema })

/** What every reply says. */
const told = {
  /** Which payment this is the outcome of: whoever asked holds it against what it asked. */
  orderId: z.string(),
  /** Of a refund. */
  refundId: z.string().optional(),
  amount: z.number(),
  /** Milliseconds that the provider itself took. */
  providerMs: z.number(),
  /** Which worker did it. */
  worker: z.string(),
}
const outcomeSchema = z.discriminatedUnion('status', [
  z.object({ status: z.literal('approved'), approvalId: z.string(), ...told }),
  z.object({ status: z.literal('declined'), reason: z.string(), ...told }),
  // The provider had an error of its own: nothing was moved, nor can be any more under this idempotency key.
  z.object({ status: z.literal('failed'), reason: z.string(), ...told }),
])

export type ApproveRequest = z.infer<typeof approveSchema>
export type RefundRequest = z.infer<typeof refundSchema>
export type ProviderOutcome = z.infer<typeof outcomeSchema>

export interface Operations {
  readonly approve: Operation<ApproveRequest, ApproveRequest, ProviderOutcome, ProviderOutcome>
  readonly refund: Operation<RefundRequest, RefundRequest, ProviderOutcome, ProviderOutcome>
}

/** `prefix` keeps several systems on one cluster apart; the document's names have none. */
export function defineOperations(prefix: string, partitioning: Partitioning): Operations {
  const shared = {
    topic: `${prefix}payment_request`,
    reply: outcomeSchema,
    // As the document does it: each kind of payment has its partition.
    ...(partitioning === 'kind' && {
      partition: (request: { method: Method }, partitions: number) =>
        methods.indexOf(request.method) % partitions,
    }),
  }
  return {
    approve: defineOperation({
      ...shared,
      name: 'payment.approve',
      request: approveSchema,
      key: ({ orderId }) => orderId,
      idempotencyKey: ({ orderId }) => orderId,
    }),
    refund: defineOperation({
      ...shared,
      name: 'payment.refund',
      request: refundSchema,
      // Not the order's: its charge is settled by now, and a refund that the provider is silent about holds up no other one.
      key: ({ refundId }) => refundId,
      idempotencyKey: ({ refundId }) => refundId,
    }),
  }
}

export function workerGroup(prefix: string): string {
  return `${prefix}payment-worker`
}

/**
 * The codes of a worker's error replies. None is an outcome, for an error does not say which payment it is about: with
 * each of them the payment is unknown until it is asked for.
 */
export const workerErrors = {
  /** The provider did not answer in time. */
  providerSilent: 'PROVIDER_SILENT',
  /** The provider could not be reached, or answered that it cannot serve now. */
  providerUnreachable: 'PROVIDER_UNREACHABLE',
  /** The provider refused to begin: the payment's time is over. */
  paymentExpired: 'PAYMENT_EXPIRED',
  /** The provider did not understand us. */
  providerRefused: 'PROVIDER_REFUSED',
} as const
