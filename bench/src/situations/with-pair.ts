import { Pair, type Stage } from '../run/pair.ts'
import type { BenchSystem, Setting } from '../system.ts'

/** Opens and warms up a pair, hands it over and closes it. */
export async function withPair<Result>(
  stage: Stage,
  system: BenchSystem,
  setting: Partial<Setting>,
  use: (pair: Pair) => Promise<Result>,
): Promise<Result> {
  const pair = await Pair.open(stage, system, setting)
  try {
    await pair.warmUp()
    return await use(pair)
  } finally {
    await pair.close()
  }
}
