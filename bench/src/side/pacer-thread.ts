/**
 * Posts when the schedule begins, once it is up; then sleeps until the next requests are due and posts when they were.
 * In a thread of its own: timers of the event loop are up to a millisecond late, and a loop that spins would take the
 * processor that the brokers need.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { poissonSchedule, seededRandom } from '../schedule.ts'
import { monotonic } from './monotonic.ts'

export interface PacerPlan {
  readonly rate: number
  readonly milliseconds: number
  readonly seed: number
}

/**
 * Milliseconds. At high rates requests come in small flocks, up to so late (which counts in their latency, as the lag
 * does): a message between threads for each would take more processor time than what is measured.
 */
const leastSleep = 0.2

const { rate, milliseconds, seed } = workerData as PacerPlan
/** On the `monotonic` clock. */
const begin = monotonic()
parentPort!.postMessage(begin, [])
const never = new Int32Array(new SharedArrayBuffer(4))
let due: number[] = []
for (const offset of poissonSchedule(rate, milliseconds, seededRandom(seed))) {
  const at = begin + offset
  if (at > monotonic()) {
    post()
    const wait = at - monotonic()
    if (wait > 0) Atomics.wait(never, 0, 0, Math.max(wait, leastSleep))
  }
  due.push(at)
}
post()
const rest = begin + milliseconds - monotonic()
if (rest > 0) Atomics.wait(never, 0, 0, rest)

function post(): void {
  if (due.length > 0) parentPort!.postMessage(due, [])
  due = []
}
