import { foreign } from '../words.ts'
import type { OldestInHand } from './health.ts'
import type { KeyLanes } from './key-lanes.ts'
import type { Job, PartitionWork } from './partition-work.ts'
import type { Steps } from './steps.ts'
import type { Warnings } from '../warnings.ts'

/** The most characters of a key that are shown. */
const longestKey = 100

export interface SlowWorkOptions {
  readonly concurrency: number
  readonly slowAfter: number
  readonly turns: KeyLanes<Job>
  readonly warnings: Warnings
  readonly steps: Steps
}

/** Tells of requests that run for long, and of slots that do not become free. */
export class SlowWork {
  readonly #options: SlowWorkOptions
  /** How many had let go of their slot when all were taken, and since when. */
  #ended = -1
  #takenSince = 0
  #told = false

  constructor(options: SlowWorkOptions) {
    this.#options = options
  }

  look(job: Job, now: number): void {
    if (job.told || job.phase === 'waiting' || job.phase === 'parked') return
    // Dropped before its turn, since its partition moves: it is there until those before it are finished, and does not run.
    if (!(now - job.beganAt >= this.#options.slowAfter)) return
    job.told = true
    this.#options.warnings.tell(says[job.phase] ?? says.handling, {
      ...describe(job, this.#options.steps, now),
    })
  }

  lookAtSlots(now: number): void {
    const { turns, concurrency, slowAfter, warnings } = this.#options
    if (turns.running < concurrency || turns.ended !== this.#ended) {
      this.#ended = turns.ended
      this.#takenSince = now
      this.#told = false
      return
    }
    if (this.#told || now - this.#takenSince < slowAfter) return
    this.#told = true
    warnings.tell('no request begins: all slots have been taken, and none became free, for long', {
      concurrency,
      milliseconds: Math.round(now - this.#takenSince),
    })
  }
}

const says: Readonly<Partial<Record<Job['phase'], string>>> & { readonly handling: string } = {
  handling: 'a handler has been running for long',
  delivering: 'a reply has not been acknowledged for long',
  finishing: 'beforeFinish has not gone through for long',
}

/** The oldest of all that is in hand, as far as it is unfinished. */
export function oldestOf(works: Iterable<PartitionWork>): Job | undefined {
  let oldest: Job | undefined
  for (const { tracker, delayed } of works) {
    const { first } = tracker
    // It is not old, it only waits.
    if (first !== undefined && first === delayed.first) continue
    if (first !== undefined && (oldest === undefined || first.receivedAt < oldest.receivedAt)) oldest = first
  }
  return oldest
}

export function describe(job: Job, steps: Steps, now: number): OldestInHand {
  const { record, work, unreadable } = job
  return {
    operation: unreadable === undefined ? steps.of(job).operation : undefined,
    key:
      record.key === null ? undefined : foreign(record.key.toString('utf8', 0, 4 * longestKey), longestKey),
    position: { topic: work.topic, partition: work.partition, offset: job.offset },
    age: Math.round(now - job.receivedAt),
    running: Number.isNaN(job.beganAt) ? undefined : Math.round(now - job.beganAt),
  }
}
