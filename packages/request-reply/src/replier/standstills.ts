import type { Clock } from '../clock.ts'
import type { KeyLanes } from './key-lanes.ts'
import type { StandstillReason } from './health.ts'
import type { Job, PartitionWork } from './partition-work.ts'
import { pausedFor, type Reading } from './reading.ts'
import type { Warnings } from '../warnings.ts'

/** Milliseconds before what has stopped a partition is tried again: at first, doubled each time, at most. */
const firstPause = 1_000
const longestPause = 30_000

export interface StandstillsOptions {
  readonly clock: Clock
  readonly reading: Reading
  readonly turns: KeyLanes<Job>
  readonly warnings: Warnings
  /** The most records that are read beyond the lowest unfinished one. */
  readonly maxAhead: number
}

/**
 * Partitions that stand still because something of theirs cannot go on.
 *
 *     going ── stop, hook failed ──▶ standing still ── it went through (each of them) ──▶ going
 *                                      │       ▲
 *                                      └ again ┘  after 1, 2, 4 … 30 s
 */
export class Standstills {
  readonly #options: StandstillsOptions

  constructor(options: StandstillsOptions) {
    this.#options = options
  }

  /** The record has stopped its partition: its slot is free, and its turn comes again after the pause. */
  stop(job: Job, error: Error): void {
    const { clock, turns } = this.#options
    const { work } = job
    const delay = this.#standStill(job, 'outcome', error)
    const timer = clock.schedule(delay, () => {
      work.parked.delete(job)
      job.phase = 'waiting'
      turns.again(job)
    })
    // A drain does not wait for it.
    work.parked.set(job, { notBefore: Number.POSITIVE_INFINITY, timer })
    job.phase = 'parked'
    job.again()
    work.rests(job)
    if (job.hasTurn) {
      job.hasTurn = false
      turns.park()
    }
  }

  /** The record's hook has failed: resolves when it is to be tried again, or its partition was let go. */
  pause(job: Job, reason: StandstillReason, error: Error): Promise<void> {
    const { clock } = this.#options
    const { work } = job
    const delay = this.#standStill(job, reason, error)
    return new Promise((resolve) => {
      const goOn = (): void => {
        timer.cancel()
        work.sleeping.delete(goOn)
        if (work.parked.delete(job)) work.goesOn(job)
        resolve()
      }
      const timer = clock.schedule(delay, goOn)
      work.sleeping.add(goOn)
      work.parked.set(job, { notBefore: Number.POSITIVE_INFINITY, timer })
      work.rests(job)
    })
  }

  /** The record has gone through: when it was the last that stopped its partition, that goes on. */
  end(job: Job): void {
    const { work } = job
    if (job.stops === 0) return
    job.stops = 0
    if (!work.stops.delete(job) || work.stops.size > 0 || work.gone) return
    this.#options.reading.resume(work, pausedFor.stop)
    this.#options.warnings.tell('a partition goes on', { topic: work.topic, partition: work.partition })
    this.#options.turns.goOn(work.lanes)
  }

  /** More was read: too far ahead of a record that is not finished? */
  read(work: PartitionWork): void {
    const { maxAhead, clock, reading, warnings } = this.#options
    const { tracker, topic, partition } = work
    // What waits for its time is not ahead of anything: nothing more is read meanwhile.
    if (tracker.ahead - work.delayed.length <= maxAhead || work.tooFarAhead !== undefined) return
    work.tooFarAhead = { reason: 'too-far-ahead', since: clock.now(), error: undefined }
    reading.pause(work, pausedFor.ahead)
    warnings.tell('a request is not finished, and its partition is not read on before it is', {
      topic,
      partition,
      offset: tracker.next,
      maxAhead,
    })
  }

  /** The lowest unfinished record is another one. */
  moved(work: PartitionWork): void {
    if (
      work.tooFarAhead === undefined ||
      work.tracker.ahead - work.delayed.length > 0.75 * this.#options.maxAhead
    )
      return
    work.tooFarAhead = undefined
    this.#options.reading.resume(work, pausedFor.ahead)
  }

  /** Its partition is gone: the lanes outlive it. */
  forget(work: PartitionWork): void {
    work.stops.clear()
    this.#options.turns.goOn(work.lanes)
  }

  #standStill(job: Job, reason: StandstillReason, error: Error): number {
    const { clock, reading, turns, warnings } = this.#options
    const { work } = job
    const since = work.stops.get(job)?.since ?? clock.now()
    work.stops.set(job, { reason, since, error })
    const delay = Math.min(longestPause, firstPause * 2 ** Math.min(job.stops++, 10))
    reading.pause(work, pausedFor.stop)
    turns.standStill(work.lanes)
    if (job.stops === 1) {
      warnings.tell(
        'a partition stands still',
        { topic: work.topic, partition: work.partition, offset: job.offset, reason },
        error,
      )
    }
    return delay
  }
}
