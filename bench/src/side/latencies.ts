import { createHistogram } from 'node:perf_hooks'

/** Milliseconds. */
export interface Quantiles {
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** Durations of a block, in an HdrHistogram of microseconds with three figures. */
export class Latencies {
  readonly #histogram = createHistogram({ figures: 3 })

  add(milliseconds: number): void {
    this.#histogram.record(Math.max(1, Math.round(milliseconds * 1000)))
  }

  get count(): number {
    return this.#histogram.count
  }

  quantiles(): Quantiles {
    const at = (percentile: number): number =>
      this.count === 0 ? 0 : this.#histogram.percentile(percentile) / 1000
    return {
      count: this.count,
      p50: at(50),
      p90: at(90),
      p99: at(99),
      p999: at(99.9),
      max: this.count === 0 ? 0 : this.#histogram.max / 1000,
    }
  }
}
