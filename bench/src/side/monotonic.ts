/** Milliseconds on a clock that threads of one machine share and nobody sets. */
export function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
