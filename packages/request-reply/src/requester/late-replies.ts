/** Hands late replies over to the application, whose fault is a warning and nothing else. */
import { isOutcomeQuery } from '../contract/outcome-query.ts'
import { MilenaError } from '../errors.ts'
import type { PendingReply } from './pending.ts'
import type { ReadReply } from './read-reply.ts'
import { lateReply, type LateReply } from './reply.ts'

export class LateReplies {
  readonly #onLateReply: ((late: LateReply) => void | Promise<void>) | undefined
  readonly #warn: (thrown: unknown) => void

  /** @param warn told whatever the application threw */
  constructor(
    onLateReply: ((late: LateReply) => void | Promise<void>) | undefined,
    warn: (thrown: unknown) => void,
  ) {
    this.#onLateReply = onLateReply
    this.#warn = warn
  }

  /** Resolves when the application is done with it. */
  handOver(
    { operation, request, correlationId }: PendingReply,
    roundTrip: number,
    read: ReadReply,
  ): Promise<void> | undefined {
    // Who has asked what became of a request asks again.
    if (this.#onLateReply === undefined || isOutcomeQuery(operation.name)) return undefined
    const failed = read instanceof MilenaError
    return this.#tell(
      this.#onLateReply,
      lateReply(operation, {
        request,
        correlationId: correlationId.toString('hex'),
        roundTrip,
        reply: failed ? undefined : read,
        error: failed ? read : undefined,
      }),
    )
  }

  async #tell(onLateReply: (late: LateReply) => void | Promise<void>, late: LateReply): Promise<void> {
    try {
      await onLateReply(late)
    } catch (thrown) {
      this.#warn(thrown)
    }
  }
}
