/**
 * What the iterations of a requester that are under way have in common: whose turn it is when there is room for one more
 * request, and what ends all of them.
 *
 * First come, first served: whoever has many in flight learns first that one has ended, and would take every room.
 */
/** An iteration, as far as the others have to do with it. */
export interface Waiter {
  /** It may be its turn. */
  look(): void
  /** No request is accepted any more. */
  close(error: Error): void
}

export class Turns {
  readonly #anyRoom: () => boolean
  readonly #open = new Set<Waiter>()
  readonly #waiting = new Set<Waiter>()
  #looking = false
  #rooms = 0
  #closed: Error | undefined

  /** @param anyRoom whether one more request can be accepted now, as far as is known */
  constructor(anyRoom: () => boolean) {
    this.#anyRoom = anyRoom
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
    return (first === undefined || first === one) && this.#anyRoom()
  }

  /** It waits for room, in its place, until it leaves. */
  wait(one: Waiter): void {
    this.#waiting.add(one)
  }

  /** It has what it waited for, or wants it no more: the next one may have its turn. */
  leave(one: Waiter): void {
    if (this.#waiting.delete(one)) this.look()
  }

  /** How often something was let go of: who had no room, and has not begun to wait, sees by it what it has missed. */
  get rooms(): number {
    return this.#rooms
  }

  /** The first may have its turn. */
  look(): void {
    this.#first()?.look()
  }

  /** Whoever held something holds it no more. Whoever tells that is in the middle of it, so the first looks a little later. */
  room(): void {
    this.#rooms++
    if (this.#looking || this.#waiting.size === 0) return
    this.#looking = true
    queueMicrotask(() => {
      this.#looking = false
      this.look()
    })
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
