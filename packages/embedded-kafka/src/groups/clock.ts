import { performance } from 'node:perf_hooks'

/** A timer that was set; cancelling it twice, or after it ran, does nothing. */
export interface Timer {
  cancel(): void
}

/** Time as the group coordinator sees it; tests pass a clock that they turn by hand. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Runs `run` once, `delayMs` milliseconds from now, and tells it how many more it became. */
  schedule(delayMs: number, run: (lateMs: number) => void): Timer
  /** Runs `run` once, after the input that has arrived by now was read. */
  afterInput(run: () => void): Timer
}

/** The machine's clock. Its timers keep no process alive: the broker's sockets do that. */
export const systemClock: Clock = {
  now: () => Date.now(),
  schedule(delayMs, run) {
    const delay = Math.max(0, delayMs)
    const due = performance.now() + delay
    const handle = setTimeout(() => run(performance.now() - due), delay)
    handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
  // Node reads sockets between its timers and its immediates.
  afterInput(run) {
    const handle = setImmediate(run)
    handle.unref()
    return { cancel: () => clearImmediate(handle) }
  },
}

/** A timer that is late by more than this was held up, with everything else in this process. */
const heldUpMs = 100

/**
 * A limit for somebody else to be heard from, after which `run` is done.
 *
 * While this process is held up, by whatever else runs in it, nobody is heard: what was sent meanwhile lies in the
 * sockets, and clients may be connecting anew. So a limit that ends late begins once more, by half; and any limit ends
 * only after what has arrived by then was read. What is read cancels the timer if it is what was waited for.
 */
export function scheduleLimit(clock: Clock, limitMs: number, run: () => void): Timer {
  let timer: Timer
  const ended = (): void => {
    timer = clock.afterInput(run)
  }
  timer = clock.schedule(limitMs, (lateMs) => {
    if (lateMs > heldUpMs) timer = clock.schedule(limitMs / 2, ended)
    else ended()
  })
  return { cancel: () => timer.cancel() }
}
