/** A timer that was set; cancelling it twice, or after it ran, does nothing. */
export interface Timer {
  cancel(): void
}

/** Time as the group coordinator sees it; tests pass a clock that they turn by hand. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Runs `run` once, `delayMs` milliseconds from now. */
  schedule(delayMs: number, run: () => void): Timer
}

/** The machine's clock. Its timers keep no process alive: the broker's sockets do that. */
export const systemClock: Clock = {
  now: () => Date.now(),
  schedule(delayMs, run) {
    const handle = setTimeout(run, Math.max(0, delayMs))
    handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
}
