/**
 * Keeps requests of one key in the order in which they were asked, while one of them has something to wait for: an
 * asynchronous schema or codec, or the first description of its topic. Without that there is nothing here, and requests
 * pass by.
 */
import type { PendingReply } from './pending.ts'

/** A request's place in the line of its key. */
export interface Turn {
  /** Resolves when the one before it has been given to the transport, or never will be; `undefined` when there is none. */
  readonly before: Promise<void> | undefined
  leave(): void
}

const free: Turn = { before: undefined, leave() {} }

export class KeyOrder {
  /** The last one in the line of each key. */
  readonly #lines = new Map<string, Promise<void>>()

  /** Whether an earlier request of its key is waiting. */
  holds(pending: PendingReply): boolean {
    if (this.#lines.size === 0) return false
    const line = lineOf(pending)
    return line !== undefined && this.#lines.has(line)
  }

  enter(pending: PendingReply): Turn {
    const line = lineOf(pending)
    if (line === undefined) return free
    const before = this.#lines.get(line)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#lines.set(line, promise)
    return {
      before,
      leave: () => {
        const end = (): void => {
          if (this.#lines.get(line) === promise) this.#lines.delete(line)
          resolve()
        }
        // Whoever gave up before its turn does not let the next one pass those in front.
        if (before === undefined) end()
        else void before.then(end)
      },
    }
  }
}

/** Requests without a key have an order only in a partition that their caller has chosen. */
function lineOf({ operation, key, partition }: PendingReply): string | undefined {
  if (key !== null) return `${operation.topic}:${key.toString('latin1')}`
  return partition === undefined ? undefined : `${operation.topic}/${partition}`
}
