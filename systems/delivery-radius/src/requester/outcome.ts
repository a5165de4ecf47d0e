/** What became of a change that was not made at once, and the message that asks for one. */
import { RemoteError, type MilenaError } from '@milena/request-reply'
import type { ChangeRequest } from '../domain/messages.ts'
import type { Change as RadiusChange } from '../domain/radius.ts'
import type { Change } from './schemas.ts'

export function messageOf(trigger: string, shop: string, { kind, action }: RadiusChange): ChangeRequest {
  return {
    id: `${trigger}:${shop}`,
    target: `delivery radius of ${shop}`,
    key: shop,
    type: 'delivery-radius.change',
    data: { kind, action },
    requestedAt: new Date().toISOString(),
  }
}

export function triggerOf({ id }: ChangeRequest): string {
  return id.slice(0, id.indexOf(':'))
}

/** `failed` only if it is certain that nothing was done. */
export function statusOf(error: MilenaError): Change['status'] {
  if (error.effect === 'none') return 'failed'
  return error.effect === 'done' ? 'done' : 'unknown'
}

/** @param error why it was not made; without one, it was, later than anybody waited */
export function changeOf(message: ChangeRequest, error?: MilenaError): Change {
  const { id, key, data, requestedAt } = message
  return {
    id,
    trigger: triggerOf(message),
    shop: key,
    kind: data.kind,
    action: data.action,
    status: error === undefined ? 'done' : statusOf(error),
    code: error instanceof RemoteError ? error.remoteCode : (error?.code ?? null),
    message: error instanceof RemoteError ? error.remoteMessage : (error?.message ?? null),
    requestedAt,
  }
}
