/** What a service with locks is asked by HTTP, and what it answers. */
import { z } from 'zod'
import { kinds } from '../domain/radius.ts'

export const askedSchema = z.object({
  /** The trigger's place in the order of firing, which the history keeps. */
  number: z.int(),
  kind: z.enum(kinds),
  action: z.enum(['begin', 'end']),
  shops: z.array(z.string()).min(1),
})
export type Asked = z.infer<typeof askedSchema>

export const resultSchema = z.object({
  made: z.array(z.string()),
  refused: z.array(z.string()),
  failed: z.array(z.string()),
  unknown: z.array(z.string()),
})
export type Result = z.infer<typeof resultSchema>

export const countersSchema = z.object({ deadlocks: z.number(), lockTimeouts: z.number() })
