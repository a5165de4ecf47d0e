/** The values below which so many hundredths of all lie; `NaN` of none. */
export function percentile(values: readonly number[], hundredths: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.ceil((hundredths / 100) * sorted.length) - 1] ?? Number.NaN
}
