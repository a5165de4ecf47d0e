/**
 * Time, passed in, so that a simulation can own it. Outside of the transports nothing in the library asks `Date` or a
 * timer directly.
 */
export interface Clock {
  /** Wall-clock time, in milliseconds since the Unix epoch; used where a time travels to another machine. */
  now(): number
  /** A time that never goes back, in milliseconds from an arbitrary origin; used to measure durations. */
  monotonic(): number
  /** Calls `run` once, `delay` milliseconds from now (`boundedDelay` of it). It keeps the process alive until it fires or is cancelled. */
  schedule(delay: number, run: () => void): ScheduledTimer
}

/** A timer that has been set by `Clock.schedule`. */
export interface ScheduledTimer {
  /** The timer will not fire any more; nothing happens when it already has. */
  cancel(): void
}

/** The longest time that a timer can wait: 2^31 − 1 ms, almost 25 days. Node's own fires at once for a longer one. */
export const longestDelay = 2_147_483_647

/** A delay that a timer takes: what is longer, `Infinity` too, waits as long as can be; what is no number, not at all. */
export function boundedDelay(delay: number): number {
  return delay > 0 ? Math.min(delay, longestDelay) : 0
}

/** Waits until the promise is settled, however, or so many milliseconds are over (`Infinity`: never). True when it was in time. */
export function within(clock: Clock, milliseconds: number, promise: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = milliseconds === Infinity ? undefined : clock.schedule(milliseconds, () => resolve(false))
    const end = (): void => {
      timer?.cancel()
      resolve(true)
    }
    promise.then(end, end)
  })
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  schedule(delay, run) {
    const timer = setTimeout(run, boundedDelay(delay))
    return { cancel: () => clearTimeout(timer) }
  },
}
