import { simulate } from './simulate.ts'
import type { SimulationOptions, SimulationResult } from './simulated.ts'

/** The faults that can be left out, one after the other, with the run failing all the same. */
export async function shrink(options: SimulationOptions, faults: number): Promise<Set<number>> {
  const without = new Set<number>()
  for (let number = 0; number < faults; number++) {
    without.add(number)
    if ((await simulate({ ...options, without })).violations.length === 0) without.delete(number)
  }
  return without
}

/** What went wrong in a failing run, the faults that it takes, and how to see it again. */
export async function explain(options: SimulationOptions, { plan }: SimulationResult): Promise<string> {
  const without = await shrink(options, plan.faults.length)
  const { violations } = await simulate({ ...options, without })
  const { seed, routing } = options
  return [
    `seed ${seed} under ${routing}:`,
    ...violations.slice(0, 5).map(({ invariant, message }) => `  ${invariant} ${message}`),
    ...plan.faults
      .filter((_, number) => !without.has(number))
      .map((fault) => `  with ${JSON.stringify(fault)}`),
    `  again: node --conditions=x-source test/simulation/run.ts --seed ${seed} --routing ${routing} --history`,
  ].join('\n')
}
