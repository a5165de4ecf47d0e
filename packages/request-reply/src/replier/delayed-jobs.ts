import type { ScheduledTimer } from '../clock.ts'
import type { Laned } from './key-lanes.ts'

/** Records of one partition that were read before their time; linked as those that are ready are, which they are not yet. */
export class DelayedJobs<Job extends Pick<Laned<Job>, 'nextReady'>> {
  first: Job | undefined
  #last: Job | undefined
  /** Fires when the first of them is due. */
  timer: ScheduledTimer | undefined
  length = 0

  add(job: Job): void {
    if (this.#last === undefined) this.first = job
    else this.#last.nextReady = job
    this.#last = job
    this.length++
  }

  shift(): Job | undefined {
    const job = this.first
    if (job === undefined) return undefined
    this.first = job.nextReady
    if (this.first === undefined) this.#last = undefined
    job.nextReady = undefined
    this.length--
    return job
  }

  clear(): void {
    this.timer?.cancel()
    this.timer = undefined
    while (this.shift() !== undefined);
  }
}
