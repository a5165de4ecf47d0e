import type { MeasuredBlock } from '../results.ts'

/** Share of the machine that others may use in a clean block. */
const quiet = 0.05
/** Share of the measured p99 that the generator's own p99 may be. */
const punctual = 0.05

/** Why a block's figures are to be mistrusted. */
export function marksOf(
  block: Pick<MeasuredBlock, 'others' | 'lag' | 'latency'>,
): MeasuredBlock['marks'][number][] {
  const marks: MeasuredBlock['marks'][number][] = []
  if ((block.others ?? 0) > quiet) marks.push('machine busy')
  if (block.lag !== undefined && block.lag.p99 > block.latency.p99 * punctual) marks.push('generator late')
  return marks
}
