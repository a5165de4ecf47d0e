/** What a service with locks has met. */
import type { Counters } from './way.ts'

export class Counting implements Counters {
  deadlocks = 0
  /** Waits for a lock that were given up. */
  lockTimeouts = 0
}
