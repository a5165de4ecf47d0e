import { availableParallelism } from 'node:os'
import { cpuOf as cpuOfProcess, cpuOfAll, memoryOf } from '@milena/hosting'

/** Processes of a block, by what they do: those of a pair, unless said otherwise. */
export type Parts<Part extends string = PairPart> = Readonly<Record<Part, readonly number[]>>
export type PairPart = 'asker' | 'answerer' | 'broker'

export type PerPart<Part extends string = PairPart> = { readonly [part in Part]?: number }

export interface Usage<Part extends string = PairPart> {
  /** Milliseconds of processor time. */
  readonly cpu: PerPart<Part>
  /** MiB at the end. */
  readonly memory: PerPart<Part>
  /** Share of the machine that processes other than ours used meanwhile. */
  readonly others?: number
}

/**
 * Begins to watch; the function that it returns says what was used since. `ours` are all processes of this benchmark;
 * `cpuOf` tells what a process has used.
 */
export function watchUsage<Part extends string>(
  parts: Parts<Part>,
  ours: Iterable<number>,
  cpuOf = cpuOfProcess,
): () => Usage<Part> {
  const watched = [...new Set([...ours, ...Object.values<readonly number[]>(parts).flat()])]
  const begun = performance.now()
  const before = new Map(watched.map((pid) => [pid, cpuOf(pid)]))
  const allBefore = cpuOfAll()
  const used = (pid: number): number | undefined => difference(cpuOf(pid), before.get(pid))
  return () => {
    const all = difference(cpuOfAll(), allBefore)
    const own = watched.reduce((sum, pid) => sum + (used(pid) ?? 0), 0)
    const capacity = (performance.now() - begun) * availableParallelism()
    return {
      cpu: perPart(parts, used),
      memory: perPart(parts, memoryOf),
      ...(all === undefined ? {} : { others: Math.max(0, (all - own) / capacity) }),
    }
  }
}

function perPart<Part extends string>(
  parts: Parts<Part>,
  measure: (pid: number) => number | undefined,
): PerPart<Part> {
  const sums: Partial<Record<Part, number>> = {}
  for (const part of Object.keys(parts) as Part[]) {
    const values = parts[part].map(measure)
    if (values.length === 0 || values.includes(undefined)) continue
    sums[part] = values.reduce((sum: number, value) => sum + value!, 0)
  }
  return sums
}

function difference(now: number | undefined, before: number | undefined): number | undefined {
  return now === undefined || before === undefined ? undefined : now - before
}
