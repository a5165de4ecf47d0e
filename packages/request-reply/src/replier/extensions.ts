/** The extensions of a replier's record middleware: asked once when it starts, opened before it joins, closed at its end. */
import type { AnyOperation } from '../contract/operation.ts'
import type { FurtherTopic, OfferedOperation, ReplierExtension, ReplierOpening } from './extension.ts'
import type { AnyRecordMiddleware } from './record-middleware.ts'

export class Extensions {
  /** With the operations that each stands before. */
  readonly #operations = new Map<ReplierExtension, AnyOperation[]>()
  readonly #opened: ReplierExtension[] = []

  /** What the extensions among an operation's middleware want for it. */
  of(
    operation: AnyOperation,
    middlewares: readonly AnyRecordMiddleware[],
  ): { readonly topics: readonly FurtherTopic[]; readonly operations: readonly OfferedOperation[] } {
    const topics: FurtherTopic[] = []
    const operations: OfferedOperation[] = []
    for (const { extension } of middlewares) {
      if (extension === undefined) continue
      const before = this.#operations.get(extension)
      if (before === undefined) this.#operations.set(extension, [operation])
      else before.push(operation)
      for (const topic of extension.topics?.(operation) ?? [])
        topics.push(typeof topic === 'string' ? { topic } : topic)
      operations.push(...(extension.operations?.(operation) ?? []))
    }
    return { topics, operations }
  }

  /** One after the other, in the order of the middleware; stops at the first that throws. */
  async open(opening: Omit<ReplierOpening, 'operations'>): Promise<void> {
    for (const [extension, operations] of this.#operations) {
      this.#opened.push(extension)
      await extension.open?.({ ...opening, operations })
    }
  }

  /** Closes those that were opened, the last first; what one throws is told, and the others are closed. */
  async close(tell: (error: unknown) => void): Promise<void> {
    for (const extension of this.#opened.splice(0).toReversed()) {
      try {
        await extension.close?.()
      } catch (error) {
        tell(error)
      }
    }
  }
}
