/**
 * Time that jumps from one timer to the next as soon as nothing is left to do at the present moment.
 */
import type { Clock, ScheduledTimer } from '../../packages/request-reply/src/clock.ts'

interface Timer {
  readonly at: number
  readonly order: number
  run: (() => void) | undefined
}

export class VirtualClock implements Clock {
  readonly #epoch = 1_700_000_000_000
  /** A binary heap: the earliest first, of equal times the one that was set first. */
  readonly #heap: Timer[] = []
  #time = 0
  #order = 0
  #waiting = 0

  now(): number {
    return this.#epoch + this.#time
  }

  monotonic(): number {
    return this.#time
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#waiting
  }

  schedule(delay: number, run: () => void): ScheduledTimer {
    const timer: Timer = { at: this.#time + Math.max(0, delay), order: this.#order++, run }
    this.#push(timer)
    this.#waiting++
    return {
      cancel: () => {
        if (timer.run !== undefined) this.#waiting--
        timer.run = undefined
      },
    }
  }

  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.schedule(milliseconds, resolve))
  }

  /** Lets `milliseconds` pass, or less when `until` comes true; says whether it did. */
  async run(milliseconds: number, until?: () => boolean): Promise<boolean> {
    const end = this.#time + milliseconds
    for (;;) {
      await microtasksDrained()
      if (until?.()) return true
      const timer = this.#heap[0]
      if (timer === undefined || timer.at > end) break
      this.#pop()
      this.#time = timer.at
      const { run } = timer
      if (run === undefined) continue
      timer.run = undefined
      this.#waiting--
      run()
    }
    this.#time = end
    return false
  }

  #push(timer: Timer): void {
    const heap = this.#heap
    let at = heap.push(timer) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      if (isBefore(heap[above]!, timer)) break
      heap[at] = heap[above]!
      at = above
    }
    heap[at] = timer
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below++
      if (isBefore(last, heap[below]!)) break
      heap[at] = heap[below]!
      at = below
    }
    heap[at] = last
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

/** An immediate runs only when no promise has anything left to do. */
function microtasksDrained(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
