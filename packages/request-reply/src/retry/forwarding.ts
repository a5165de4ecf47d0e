import { MilenaError, TransportError } from '../errors.ts'
import type { ErrorOutcome } from '../replier/outcome.ts'
import type { RawRequest } from '../replier/raw-request.ts'
import type { OutgoingRecord } from '../transport/transport.ts'
import { originHeaders } from './origin.ts'

/** Milliseconds for which a turn waits for the brokers; then its partition stands still, and the write goes on. */
const patience = 5_000

/** A record that has failed and is on its way to the next retry topic. */
export class Forwarding {
  /** What goes out when there is no time left for it. */
  readonly outcome: ErrorOutcome
  #writing: Promise<unknown> | undefined

  constructor(outcome: ErrorOutcome) {
    this.outcome = outcome
  }

  /** Whether it may be in the topic, for all that is known. */
  get began(): boolean {
    return this.#writing !== undefined
  }

  /**
   * Resolves when all in-sync replicas have it. What takes longer than 5 s goes on, and is waited for at the next call.
   *
   * @throws Error that says why it is not there, or not yet.
   */
  async write(request: RawRequest, topic: string, dueAt: number): Promise<void> {
    const writing = (this.#writing ??= write(request, topic, dueAt))
    const slow = Promise.withResolvers<boolean>()
    const timer = request.replier.clock.schedule(patience, () => slow.resolve(true))
    try {
      const isSlow = await Promise.race([writing.then(() => false), slow.promise])
      if (!isSlow) return
    } catch (error) {
      this.#writing = undefined
      throw error
    } finally {
      timer.cancel()
    }
    // Nobody may be there to see it fail.
    writing.catch(() => undefined)
    throw new TransportError('MILENA_SEND_UNKNOWN', `${topic} has not acknowledged it within ${patience} ms`)
  }
}

/** Into the same partition; where the retry topic has fewer, into that of its key. */
async function write(request: RawRequest, topic: string, dueAt: number): Promise<void> {
  const { partition, key, value, record, replier } = request
  const headers = [...record.headers, ...originHeaders(request, dueAt)]
  const retried: OutgoingRecord = { topic, partition, key, value, headers }
  try {
    await replier.transport.send(retried)
  } catch (error) {
    if (!(error instanceof MilenaError && error.code === 'MILENA_PARTITION_MISSING')) throw error
    await replier.transport.send({ ...retried, partition: undefined })
  }
}
