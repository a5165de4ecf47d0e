/**
 * Posts when the schedule begins, once it is up; then sleeps until the next requests are due and posts when they were;
 * at the end, how late it was itself.
 * In a thread of its own: timers of the event loop are up to a millisecond late, and a loop that spins would take the
 * processor that the brokers need.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { poissonSchedule, seededRandom } from '../schedule.ts'
import { Latencies, type Quantiles } from './latencies.ts'
import { monotonic } from './monotonic.ts'

export interface PacerPlan {
  readonly rate: number
  readonly milliseconds: number
  readonly seed: number
}

/** Milliseconds on the `monotonic` clock: when it begins, or when those that are posted were due; or the generator's lag. */
export type PacerPost = number | readonly number[] | Quantiles

/**
 * Milliseconds. At high rates requests come in small flocks, up to so late (which counts in their latency, as the lag
 * does): a message between threads for each would take more processor time than what is measured.
 */
const leastSleep = 0.2

const { rate, milliseconds, seed } = workerData as PacerPlan
/** On the `monotonic` clock. */
const begin = monotonic()
post(begin)
const never = new Int32Array(new SharedArrayBuffer(4))
const lag = new Latencies()
let due: number[] = []
for (const offset of poissonSchedule(rate, milliseconds, seededRandom(seed))) {
  const at = begin + offset
  if (at > monotonic()) {
    postDue()
    const wait = at - monotonic()
    if (wait > 0) Atomics.wait(never, 0, 0, Math.max(wait, leastSleep))
  }
  due.push(at)
}
postDue()
const rest = begin + milliseconds - monotonic()
if (rest > 0) Atomics.wait(never, 0, 0, rest)
post(lag.quantiles())

function postDue(): void {
  if (due.length === 0) return
  const now = monotonic()
  for (const at of due) lag.add(now - at)
  post(due)
  due = []
}

function post(message: PacerPost): void {
  parentPort!.postMessage(message, [])
}
