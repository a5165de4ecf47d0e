/** What an operator should know of a requester and no caller is told. */
import { warning } from '../diagnostics.ts'
import type { Clock } from '../clock.ts'
import { errorOf, wordsOf } from '../words.ts'

/** Milliseconds between two warnings of a kind that can come with every record. */
const seldom = 1_000

export class RequesterWarnings {
  readonly #clock: Clock
  readonly #who: string
  readonly #kinds = new Map<string, { toldAt: number; untold: number }>()

  constructor(clock: Clock, instanceId: string) {
    this.#clock = clock
    this.#who = `requester ${instanceId}`
  }

  /** Never throws, whatever was thrown. */
  tell(context: string, thrown: unknown): void {
    const where = `${this.#who}: ${context}`
    if (warning.hasSubscribers) warning.publish({ context: where, error: errorOf(thrown) })
    else process.emitWarning(`${where}: ${wordsOf(thrown)}`, { type: 'MilenaWarning' })
  }

  /** At most one of a kind in a second; the next one says how many were left out. */
  tellSeldom(context: string, message: string): void {
    const now = this.#clock.monotonic()
    const kind = this.#kinds.get(context)
    if (kind !== undefined && now - kind.toldAt < seldom) {
      kind.untold++
      return
    }
    const more =
      kind === undefined || kind.untold === 0 ? '' : ` (and ${kind.untold} more since the last one)`
    this.#kinds.set(context, { toldAt: now, untold: 0 })
    this.tell(context, new Error(message + more))
  }
}
