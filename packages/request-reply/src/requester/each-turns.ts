/**
 * What the iterations of a requester that are under way have in common: whose turn it is when there is room for one more
 * request, and what ends all of them.
 *
 * First come, first served: whoever has many in flight learns first that one has ended, and would take every room.
 */
import type { Clock, ScheduledTimer } from '../clock.ts'

export interface TurnsOptions {
  readonly clock: Clock
  /** Whether one more request can be accepted now, as far as is known. */
  hasRoom(): boolean
}

/** An iteration, as far as the others have to do with it. */
export interface Waiter {
  /** It may be its turn. */
  look(): void
  /** No request is accepted any more. */
  close(error: Error): void
}

/** Milliseconds after which the first looks again: that others than iterations have left room is not told. */
const lookAgain = 10

export class Turns {
  readonly #options: TurnsOptions
  readonly #open = new Set<Waiter>()
  readonly #waiting = new Set<Waiter>()
  #timer: ScheduledTimer | undefined
  #closed: Error | undefined

  constructor(options: TurnsOptions) {
    this.#options = options
  }

  /** It begins. */
  begin(one: Waiter): void {
    this.#open.add(one)
    if (this.#closed !== undefined) one.close(this.#closed)
  }

  /** It asks for nothing any more. */
  end(one: Waiter): void {
    this.#open.delete(one)
    this.leave(one)
  }

  /** Whether there is room, and nobody came before. */
  hasRoom(one: Waiter): boolean {
    const first = this.#first()
    return (first === undefined || first === one) && this.#options.hasRoom()
  }

  /** It waits for room, in its place, until it leaves. */
  wait(one: Waiter): void {
    this.#waiting.add(one)
    this.#timer ??= this.#options.clock.schedule(lookAgain, () => {
      this.#timer = undefined
      this.look()
    })
  }

  /** It has what it waited for, or wants it no more: the next one may have its turn. */
  leave(one: Waiter): void {
    if (this.#waiting.delete(one)) this.look()
  }

  /** There may be room. */
  look(): void {
    const first = this.#first()
    if (first !== undefined) return first.look()
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** Ends all of them, and each that begins later. */
  close(error: Error): void {
    this.#closed ??= error
    for (const one of this.#open) one.close(this.#closed)
  }

  #first(): Waiter | undefined {
    return this.#waiting.size === 0 ? undefined : this.#waiting.values().next().value
  }
}
