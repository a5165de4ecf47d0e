/** What goes wrong on purpose in an account service. Shares are of exchanges, so that a repeated try fares as the first one did. */
import { createHash } from 'node:crypto'
import { z } from 'zod'

const share = z.number().min(0).max(1)

export const behaviourSchema = z.strictObject({
  /** Deposits that are refused: nothing was moved. */
  refused: share,
  /** Deposits that are carried out, and whose answer is lost each time. */
  lost: share,
  /** Deposits that are carried out only `lateMs` after they came: their caller has given up by then. */
  late: share,
  lateMs: z.int().min(0).max(60_000),
  /** Requests that are told to come again, by chance. */
  busy: share,
  /** Cancellations that fail at their first try. */
  cancelFlaky: share,
  /** Cancellations that fail at every try, until the behaviour is changed. */
  cancelBroken: share,
  /** A planted defect: cancellations that are answered as done, and are not. */
  cancelSkipped: share,
})
export type Behaviour = z.infer<typeof behaviourSchema>

export const faultless: Behaviour = {
  refused: 0,
  lost: 0,
  late: 0,
  lateMs: 0,
  busy: 0,
  cancelFlaky: 0,
  cancelBroken: 0,
  cancelSkipped: 0,
}

/** What fails on purpose. */
export class PlantedFailure extends Error {}

/** Whether an exchange is of this share of them; each fault has its own draw. */
export function isOf(share: number, fault: keyof Behaviour, exchangeId: string): boolean {
  if (share === 0) return false
  const hash = createHash('sha256').update(`${fault} ${exchangeId}`).digest()
  return hash.readUInt32BE(0) / 2 ** 32 < share
}
