/** What a run has come to, and whether the point holds. */
import type { Checked } from './checking.ts'
import type { Everywhere } from './everywhere.ts'
import type { WayOutcome } from './storming.ts'

export interface Outcome {
  /** Empty without a storm. */
  readonly ways: readonly WayOutcome[]
  readonly everywhere: Everywhere | undefined
  readonly checked: Checked
}

/** Everything that should not be; empty: the point holds. */
export function problemsOf({ ways, everywhere, checked }: Outcome): readonly string[] {
  const problems: string[] = []
  const ours = ways.find(({ way }) => way === 'request-reply')
  if (ours !== undefined) {
    const { lost, outOfOrder, untold, toldWrong } = ours
    const must = (figure: number, words: string): void => {
      if (figure > 0) problems.push(`request-reply: ${figure} changes ${words}`)
    }
    must(lost, 'were lost')
    must(outOfOrder, 'were applied out of the order in which they were accepted')
    must(untold, 'have a caller who was not told')
    must(toldWrong, 'were made although their caller was told that they were not')
  }
  const untold =
    everywhere?.triggers.reduce((sum, { total, done, failed }) => sum + total - done - failed, 0) ?? 0
  if (untold > 0) problems.push(`over all shops: of ${untold} changes the caller was not told`)
  return [...problems, ...checked.differences]
}
