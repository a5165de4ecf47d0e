/**
 * One structure for all deadlines of a requester.
 *
 * Entries with the same timeout expire in the order in which they came, so there is one queue, and one timer for its
 * head, for each distinct timeout (as Node's own timers have it). Adding and removing are O(1) and allocate nothing:
 * the entries carry the links themselves.
 *
 * A process that was busy, or stopped, for longer than a timeout finds the timer due before it has read what came in
 * time. So a timer that is late first waits for `catchUp`; what is still there then has expired.
 */
import type { Clock, ScheduledTimer } from '../clock.ts'

/** What an entry of `Deadlines` brings along; the fields belong to the queue that holds it. */
export interface DeadlineEntry {
  expiresAt: number
  previous: DeadlineEntry | undefined
  next: DeadlineEntry | undefined
  queue: DeadlineQueue | undefined
}

export interface DeadlineQueue {
  readonly timeout: number
  head: DeadlineEntry | undefined
  tail: DeadlineEntry | undefined
  timer: ScheduledTimer | undefined
  /** What came in time is being looked for, before anything expires. */
  catchingUp: boolean
}

/** A timer that fires so many milliseconds late was held up, with everything else in this process. */
const heldUp = 50

/** With more distinct timeouts than this, as with ones computed for each request, a queue does not outlive its entries. */
const lastingQueues = 64

export class Deadlines<Entry extends DeadlineEntry> {
  readonly #clock: Clock
  readonly #onExpired: (entry: Entry) => void
  readonly #catchUp: () => Promise<void>
  readonly #queues = new Map<number, DeadlineQueue>()

  /** @param catchUp Reads what has come; bounded, and never rejects. */
  constructor(clock: Clock, onExpired: (entry: Entry) => void, catchUp: () => Promise<void>) {
    this.#clock = clock
    this.#onExpired = onExpired
    this.#catchUp = catchUp
  }

  /** @param now on the monotonic clock */
  add(entry: Entry, timeout: number, now: number): void {
    let queue = this.#queues.get(timeout)
    if (queue === undefined) {
      queue = { timeout, head: undefined, tail: undefined, timer: undefined, catchingUp: false }
      this.#queues.set(timeout, queue)
    }
    entry.expiresAt = now + timeout
    entry.queue = queue
    entry.previous = queue.tail
    entry.next = undefined
    if (queue.tail === undefined) queue.head = entry
    else queue.tail.next = entry
    queue.tail = entry
    if (queue.timer === undefined && !queue.catchingUp) this.#arm(queue, timeout)
  }

  remove(entry: Entry): void {
    const { queue, previous, next } = entry
    if (queue === undefined) return
    if (previous === undefined) queue.head = next
    else previous.next = next
    if (next === undefined) queue.tail = previous
    else next.previous = previous
    entry.queue = entry.previous = entry.next = undefined
    if (queue.head === undefined && this.#queues.size > lastingQueues && !queue.catchingUp) {
      cancelTimer(queue)
      this.#queues.delete(queue.timeout)
    }
  }

  /** Cancels every timer; entries that are left never expire. */
  close(): void {
    for (const queue of this.#queues.values()) cancelTimer(queue)
    this.#queues.clear()
  }

  #arm(queue: DeadlineQueue, delay: number): void {
    queue.timer = this.#clock.schedule(delay, () => this.#fire(queue))
  }

  #fire(queue: DeadlineQueue): void {
    queue.timer = undefined
    const { head } = queue
    if (head !== undefined && this.#clock.monotonic() - head.expiresAt > heldUp) {
      queue.catchingUp = true
      void this.#catchUp().then(() => {
        queue.catchingUp = false
        if (this.#queues.get(queue.timeout) === queue) this.#expire(queue)
      })
    } else {
      this.#expire(queue)
    }
  }

  #expire(queue: DeadlineQueue): void {
    const now = this.#clock.monotonic()
    while (queue.head !== undefined && queue.head.expiresAt <= now) {
      const entry = queue.head as Entry
      this.remove(entry)
      this.#onExpired(entry)
    }
    // Whoever was told of an expiry may have added an entry: that armed the timer for the new one, not for the head.
    cancelTimer(queue)
    if (queue.head !== undefined) this.#arm(queue, Math.max(1, Math.ceil(queue.head.expiresAt - now)))
    else if (this.#queues.get(queue.timeout) === queue) this.#queues.delete(queue.timeout)
  }
}

function cancelTimer(queue: DeadlineQueue): void {
  queue.timer?.cancel()
  queue.timer = undefined
}
