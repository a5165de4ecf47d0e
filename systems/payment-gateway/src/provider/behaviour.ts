import { z } from 'zod'

const rate = z.number().min(0).max(1)

/** How the provider behaves; what a `PUT` leaves out returns to what it was at the start. */
export const behaviourSchema = z
  .strictObject({
    delayMs: z.number().min(0).max(600_000).describe('milliseconds that each charge or refund takes'),
    jitterMs: z.number().min(0).max(600_000).describe('up to this much longer, at random'),
    failRate: rate.describe('share that end in an error of the provider: 500, nothing charged'),
    declineRate: rate.describe('share that are declined: 402, nothing charged'),
    silentRate: rate.describe('share of calls that are carried out and never answered'),
  })
  .partial()

export interface Behaviour {
  readonly delayMs: number
  readonly jitterMs: number
  readonly failRate: number
  readonly declineRate: number
  readonly silentRate: number
}
