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

/** Buckets to each power of two, and the powers of two from 2^7 µs to 2^40 µs (twelve days). */
const fineness = 128
const powers = 34

/**
 * A histogram of durations, in whole microseconds, exact to two significant digits; count, least, mean and most are exact.
 * Written out, since there are three for each operation: 17 KiB each, and less time than a call into Node's own.
 */
export class Durations {
  /** Made with the first duration: most operations of most processes are never asked for. */
  #buckets: Uint32Array | undefined
  #count = 0
  #sum = 0
  #min = Number.POSITIVE_INFINITY
  #max = 0

  /** Records a duration in milliseconds. */
  record(milliseconds: number): void {
    const microseconds = Math.max(1, Math.round(milliseconds * 1000))
    this.#buckets ??= new Uint32Array(fineness * (powers + 1))
    this.#buckets[bucketOf(microseconds)]!++
    this.#count++
    this.#sum += microseconds
    if (microseconds < this.#min) this.#min = microseconds
    if (microseconds > this.#max) this.#max = microseconds
  }

  summary(): DurationSummary {
    const count = this.#count
    if (count === 0) return { count, min: 0, mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 }
    const [p50, p90, p99, p999] = this.#percentiles([0.5, 0.9, 0.99, 0.999])
    return {
      count,
      min: this.#min / 1000,
      mean: this.#sum / count / 1000,
      p50: p50!,
      p90: p90!,
      p99: p99!,
      p999: p999!,
      max: this.#max / 1000,
    }
  }

  /** For each share, rising, the most that a duration in its bucket can have been; never more than the longest. */
  #percentiles(shares: readonly number[]): number[] {
    const found: number[] = []
    let below = 0
    this.#buckets!.forEach((inBucket, bucket) => {
      below += inBucket
      while (found.length < shares.length && below >= shares[found.length]! * this.#count) {
        found.push(Math.min(mostIn(bucket), this.#max) / 1000)
      }
    })
    return found
  }
}

function bucketOf(microseconds: number): number {
  if (microseconds < 2 * fineness) return microseconds
  if (microseconds < 2 ** 31) {
    const power = 24 - Math.clz32(microseconds)
    return power * fineness + (microseconds >> power)
  }
  const power = Math.min(powers, Math.floor(Math.log2(microseconds)) - 7)
  return Math.min(fineness * (powers + 1) - 1, power * fineness + Math.floor(microseconds / 2 ** power))
}

/** The longest duration that falls into the bucket. */
function mostIn(bucket: number): number {
  if (bucket < 2 * fineness) return bucket
  const power = Math.floor(bucket / fineness) - 1
  return (bucket - power * fineness + 1) * 2 ** power - 1
}
