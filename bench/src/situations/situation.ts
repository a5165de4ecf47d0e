import type { SituationResult } from '../results.ts'
import type { Stage } from '../run/pair.ts'

/** Something that happens to the library in production and not in a ladder. A new one is one file and a line in `index.ts`. */
export interface Situation {
  /** As the command names it. */
  readonly name: string
  readonly title: string
  /** `milliseconds` is how long one block of it takes. */
  run(stage: Stage, milliseconds: number): Promise<Omit<SituationResult, 'name' | 'title'>>
  /** Why it cannot run on these brokers, undefined when it can. */
  unfit?(stage: Stage): string | undefined
}
