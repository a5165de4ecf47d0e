import type { MeasuredBlock } from '../results.ts'

/** Microseconds of processor time for each answered request; NaN where it is not known. */
export function cpuPerRequest({ cpu, answered }: MeasuredBlock): {
  asker: number
  answerer: number
  broker: number
} {
  const per = (milliseconds = Number.NaN): number => (milliseconds * 1000) / answered
  return { asker: per(cpu.asker), answerer: per(cpu.answerer), broker: per(cpu.broker) }
}
