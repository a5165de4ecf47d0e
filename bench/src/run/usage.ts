import { availableParallelism } from 'node:os'
import { cpuOf, cpuOfAll, memoryOf } from './proc.ts'

/** Processes of a block, by what they do. */
export interface Parts {
  readonly asker: readonly number[]
  readonly answerer: readonly number[]
  readonly broker: readonly number[]
}

export type PerPart = { readonly [part in keyof Parts]?: number }

export interface Usage {
  /** Milliseconds of processor time. */
  readonly cpu: PerPart
  /** MiB at the end. */
  readonly memory: PerPart
  /** Share of the machine that processes other than ours used meanwhile. */
  readonly others?: number
}

/** Begins to watch; the function that it returns says what was used since. `ours` are all processes of this benchmark. */
export function watchUsage(parts: Parts, ours: Iterable<number>): () => Usage {
  const watched = [...new Set([...ours, ...parts.asker, ...parts.answerer, ...parts.broker])]
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

function perPart(parts: Parts, measure: (pid: number) => number | undefined): PerPart {
  const sums: Partial<Record<keyof Parts, number>> = {}
  for (const part of ['asker', 'answerer', 'broker'] as const) {
    const values = parts[part].map(measure)
    if (values.length === 0 || values.includes(undefined)) continue
    sums[part] = values.reduce((sum: number, value) => sum + value!, 0)
  }
  return sums
}

function difference(now: number | undefined, before: number | undefined): number | undefined {
  return now === undefined || before === undefined ? undefined : now - before
}
