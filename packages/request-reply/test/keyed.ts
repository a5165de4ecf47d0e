/** What tests of idempotent requests have in common. */
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import type { RawHeader } from '../src/wire/headers.ts'
import { idempotencyKeyHeader } from '../src/wire/milena.ts'

export const pay = defineOperation({ name: 'pay', topic: 'shop_request', request: string(), reply: string() })

export const text = (value: string): Buffer => Buffer.from(value)

export const keyed = (key: string): { readonly headers: readonly RawHeader[] } => ({
  headers: [idempotencyKeyHeader(key)],
})
