/**
 * Requests that cannot be sent yet. They count as pending, and have their timeout and their signal as if they were.
 */
import type { Clock } from '../clock.ts'
import { cancelledBefore, reasonOf } from './outcome-errors.ts'
import { Drain } from './drain.ts'
import type { PendingReply } from './pending.ts'
import { listen } from './signals.ts'

export class Preparing {
  readonly #clock: Clock
  readonly #drain: Drain
  readonly #waiting = new Map<PendingReply, (error: Error) => void>()
  readonly #onRoom: () => void
  #bytes = 0

  /** @param onRoom something that waited here was given up */
  constructor(clock: Clock, onRoom: () => void) {
    this.#clock = clock
    this.#onRoom = onRoom
    this.#drain = new Drain(clock)
  }

  get size(): number {
    return this.#waiting.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /**
   * Calls `then` when `work` has ended, in the same moment in which the request stops counting here; resolves with what
   * that returns. Rejects when the work fails, or the timeout, the signal or `close` comes first.
   *
   * @throws OptionsError when the signal cannot be listened to
   */
  wait<Result>(
    pending: PendingReply,
    work: Promise<void>,
    onTimeout: () => Error,
    then: () => Result,
  ): Promise<Result> {
    const { signal } = pending
    // It may throw: so nothing was begun before it.
    const unlisten = listen(pending, () =>
      this.#waiting.get(pending)?.(cancelledBefore(pending.operation, reasonOf(signal))),
    )
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.cancel()
        unlisten()
        if (this.#waiting.delete(pending)) this.#bytes -= pending.bytes
        if (this.#waiting.size === 0) this.#drain.empty()
      }
      const fail = (error: unknown): void => {
        end()
        this.#onRoom()
        reject(error)
      }
      const timer = this.#clock.schedule(pending.timeout, () => fail(onTimeout()))
      this.#waiting.set(pending, fail)
      this.#bytes += pending.bytes
      work
        .then(() => {
          if (!this.#waiting.has(pending)) return // given up meanwhile
          end()
          resolve(then())
        }, fail)
        .catch(reject)
    })
  }

  /** What it takes in memory is known now, or has changed. */
  resize(pending: PendingReply, bytes: number): void {
    if (this.#waiting.has(pending)) this.#bytes += bytes - pending.bytes
    pending.bytes = bytes
  }

  /** Resolves when nothing waits here any more, at the latest after `timeout` ms. */
  drain(timeout: number): Promise<void> {
    return this.#waiting.size === 0 ? Promise.resolve() : this.#drain.wait(timeout)
  }

  close(error: () => Error): void {
    for (const fail of this.#waiting.values()) fail(error())
  }
}
