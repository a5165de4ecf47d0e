/** The value below which a share `q` of the values lies, between the two nearest where it falls between; NaN of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  if (sorted.length === 0) return Number.NaN
  const at = (sorted.length - 1) * q
  const below = sorted[Math.floor(at)]!
  return below + (sorted[Math.ceil(at)]! - below) * (at - Math.floor(at))
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

export interface Estimate {
  readonly median: number
  /** 95 % interval of the median. */
  readonly low: number
  readonly high: number
}

/** The median and its percentile-bootstrap interval: the medians of so many samples drawn with replacement. */
export function bootstrapMedian(
  values: readonly number[],
  random: () => number,
  resamples = 2_000,
): Estimate {
  const medians = Array.from({ length: resamples }, () =>
    median(values.map(() => values[Math.floor(random() * values.length)]!)),
  )
  return { median: median(values), low: quantile(medians, 0.025), high: quantile(medians, 0.975) }
}

/**
 * Whether so many samples allow that quantile to be quoted: at least 100 beyond it, so 10 000 for the 99th percentile.
 */
export function allowsQuantile(samples: number, q: number): boolean {
  return samples * (1 - q) >= 100 - 1e-6
}

/** Rounded to three significant figures, as tables have it. */
export function threeFigures(value: number): number {
  return Number(value.toPrecision(3))
}
