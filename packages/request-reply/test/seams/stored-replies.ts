/**
 * Stored replies sketched as record middleware: the first reply to a request is kept in its bytes, and whoever gets the
 * request again, however late, sends that one. Thrown away when the library has its own; it shows that the seam is enough.
 */
import type { RawHeader, RecordMiddleware, ReplyOutcome } from '@milena/request-reply'

/** A store that all repliers share, as a table with a unique key would be. */
export interface ReplyStore {
  get(id: string): Promise<ReplyOutcome | undefined>
  /** Keeps it unless there is one, and gives the one that is kept. */
  putFirst(id: string, reply: ReplyOutcome): Promise<ReplyOutcome>
}

export class MemoryReplyStore implements ReplyStore {
  readonly replies: Map<string, ReplyOutcome> = new Map()

  async get(id: string): Promise<ReplyOutcome | undefined> {
    return this.replies.get(id)
  }

  async putFirst(id: string, reply: ReplyOutcome): Promise<ReplyOutcome> {
    const kept = this.replies.get(id) ?? copyOf(reply)
    this.replies.set(id, kept)
    return kept
  }
}

export function storedReplies(store: ReplyStore): RecordMiddleware {
  return async ({ correlationId }, next) => {
    if (correlationId === undefined) return next()
    const id = correlationId.toString('hex')
    try {
      const stored = await store.get(id)
      if (stored !== undefined) return stored
      const outcome = await next()
      // An error may be this delivery's alone.
      return outcome.kind === 'reply' ? await store.putFirst(id, outcome) : outcome
    } catch (error) {
      // Without its store it can promise nothing: the partition waits for it.
      return { kind: 'stop', error: error as Error }
    }
  }
}

/** Its headers may share memory with the request's. */
function copyOf({ kind, value, headers }: ReplyOutcome): ReplyOutcome {
  const copied = headers.map(([name, bytes]): RawHeader => [Buffer.from(name), bytes && Buffer.from(bytes)])
  return { kind, value: value && Buffer.from(value), headers: copied }
}
