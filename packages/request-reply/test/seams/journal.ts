/**
 * A journal sketched on the requester's stages: what is asked is written down before it is sent, so that an instance that
 * was killed goes on where it stood. Thrown away when the library has its own; it shows that the stages are enough.
 */
import type { Operation, RecordPosition, Reply, Requester, RequestOptions } from '@milena/request-reply'

/** What is written down of a request; all of it could be a row in a database. */
export interface Entry {
  readonly correlationId: string
  readonly operation: string
  readonly request: unknown
  /** In milliseconds since the Unix epoch. */
  readonly deadline: number
  readonly repliesFrom: readonly RecordPosition[]
}

export type Recovered = (entry: Entry, outcome: Reply<unknown> | Error) => void

export class Journal {
  /** Outlives the process, as a table would. */
  readonly entries: Map<string, Entry>

  constructor(entries: Map<string, Entry> = new Map()) {
    this.entries = entries
  }

  /** For `createRequester`: where the oldest unfinished request's reply may stand. */
  get resumeFrom(): readonly RecordPosition[] | undefined {
    const positions = [...this.entries.values()].flatMap(({ repliesFrom }) => repliesFrom)
    return positions.length === 0 ? undefined : positions
  }

  /** As `requester.request`, but written down between accepting and sending. */
  async request<Input, RequestOutput, ReplyInput, Output>(
    requester: Requester,
    operation: Operation<Input, RequestOutput, ReplyInput, Output>,
    value: Input,
    options?: RequestOptions,
  ): Promise<Reply<Output>> {
    const prepared = await requester.prepare(operation, value, options)
    const pending = requester.register(prepared)
    const correlationId = pending.correlationId.toString('hex')
    await this.#write({
      correlationId,
      operation: operation.name,
      request: value,
      deadline: Date.now() + prepared.timeout,
      repliesFrom: pending.repliesFrom,
    })
    pending.dispatch().catch(() => undefined) // the deadline decides
    return pending.reply.finally(() => this.entries.delete(correlationId))
  }

  /** Finishes what an instance before this one had accepted, and sends nothing twice. */
  recover(
    requester: Requester,
    operations: readonly Operation<never, unknown, never, unknown>[],
    recovered: Recovered,
  ): Promise<unknown> {
    const finishing = [...this.entries.values()].map(async (entry) => {
      const operation = operations.find(({ name }) => name === entry.operation)!
      const timeout = Math.max(1, entry.deadline - Date.now())
      const prepared = await requester.prepare(operation, entry.request as never, { timeout })
      const correlationId = Buffer.from(entry.correlationId, 'hex')
      const outcome = await requester
        .register(prepared, { correlationId })
        .reply.catch((error: unknown) => error as Error)
      this.entries.delete(entry.correlationId)
      recovered(entry, outcome)
    })
    return Promise.all(finishing)
  }

  async #write(entry: Entry): Promise<void> {
    await Promise.resolve() // where a database would be
    this.entries.set(entry.correlationId, entry)
  }
}
