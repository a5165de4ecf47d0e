import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

/** A summary of durations, in milliseconds. All zero when nothing was recorded. */
export interface DurationSummary {
  readonly count: number
  readonly min: number
  readonly mean: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** A histogram of durations, kept in whole microseconds with so many significant digits. */
export class Durations {
  readonly #histogram: RecordableHistogram

  constructor(figures: 2 | 3 = 3) {
    this.#histogram = createHistogram({ figures })
  }

  /** Records a duration in milliseconds. */
  record(milliseconds: number): void {
    this.#histogram.record(Math.max(1, Math.round(milliseconds * 1000)))
  }

  summary(): DurationSummary {
    const histogram = this.#histogram
    if (histogram.count === 0) return { count: 0, min: 0, mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 }
    return {
      count: histogram.count,
      min: histogram.min / 1000,
      mean: histogram.mean / 1000,
      p50: histogram.percentile(50) / 1000,
      p90: histogram.percentile(90) / 1000,
      p99: histogram.percentile(99) / 1000,
      p999: histogram.percentile(99.9) / 1000,
      max: histogram.max / 1000,
    }
  }
}
