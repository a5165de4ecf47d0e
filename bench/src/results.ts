/** What a run leaves behind: one JSON file in `bench/results`. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BlockPlan, BlockResult } from './side/protocol.ts'
import type { Usage } from './run/usage.ts'

export interface MeasuredBlock extends BlockResult, Usage {
  /** Why its figures are to be mistrusted; empty for a clean block. Such a block was repeated, and this is the last try. */
  readonly marks: readonly ('machine busy' | 'generator late')[]
  /** Tries that were thrown away before it. */
  readonly discarded: number
}

/** All blocks of one system at one load, in the order of the rounds. */
export interface Measurement {
  readonly system: string
  readonly blocks: readonly MeasuredBlock[]
}

export interface ClosedLevel {
  readonly inFlight: number
  readonly measurements: readonly Measurement[]
}

export interface OpenLevel {
  /** Share of each system's own knee. */
  readonly share: number
  readonly measurements: readonly (Measurement & { readonly rate: number })[]
}

export interface SituationResult {
  readonly name: string
  readonly title: string
  readonly rows: readonly Readonly<Record<string, string | number>>[]
  readonly chart?: Chart
  /** What it was to show, and whether it did. */
  readonly targets?: readonly TargetResult[]
}

export interface TargetResult {
  readonly target: string
  /** What was measured, in words and figures. */
  readonly figure: string
  /** Undefined where the figure does not allow to say so. */
  readonly met?: boolean
}

export interface Chart {
  readonly title: string
  readonly x: string
  readonly y: string
  readonly logarithmic: boolean
  readonly lines: readonly {
    readonly name: string
    readonly points: readonly (readonly [number, number])[]
  }[]
}

export interface RunResult {
  /** ISO 8601. */
  readonly at: string
  /** A run whose figures are no claim: a short one, or one that was marked so. */
  readonly trial: boolean
  readonly brokers: { readonly name: string; readonly durability: string }
  readonly machine: Readonly<Record<string, string | number>>
  readonly versions: Readonly<Record<string, string>>
  readonly configuration: Readonly<Record<string, string | number>>
  readonly systems: readonly { readonly name: string; readonly durability: string }[]
  /** The system that all ratios are to, and the second pair of it. */
  readonly baseline: string
  readonly control: string
  readonly leftOut: readonly { readonly name: string; readonly why: string }[]
  readonly closed: readonly ClosedLevel[]
  readonly open: readonly OpenLevel[]
  readonly situations: readonly SituationResult[]
}

export type { BlockPlan }

const folder = fileURLToPath(new URL('../results', import.meta.url))

/** A trial's name ends in `.local.json`, which git ignores. Returns the path. */
export function writeResult(result: RunResult): string {
  mkdirSync(folder, { recursive: true })
  const stamp = result.at.replaceAll(':', '').slice(0, 15)
  const name = `${stamp}-${result.brokers.name.replaceAll(/[^A-Za-z0-9]+/g, '-')}`
  const path = join(folder, `${name}${result.trial ? '.local' : ''}.json`)
  writeFileSync(path, `${JSON.stringify(result, undefined, 1)}\n`)
  return path
}

/** What the page is made of, `newestParts` of all files. */
export function readResults(): RunResult[] {
  let files: string[]
  try {
    files = readdirSync(folder).filter((name) => name.endsWith('.json'))
  } catch {
    return []
  }
  return newestParts(files.map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as RunResult))
}

/**
 * The newest ladder and the newest of each situation on each kind of brokers; of a trial only what no other run has.
 * Runs come ordered by brokers, the one with the ladder first, each without what a newer one shows.
 */
export function newestParts(runs: readonly RunResult[]): RunResult[] {
  const taken = new Set<string>()
  const first = (run: RunResult, part: string): boolean => {
    const key = `${run.brokers.name} ${part}`
    if (taken.has(key)) return false
    taken.add(key)
    return true
  }
  const pruned: RunResult[] = []
  for (const run of runs.toSorted((a, b) => Number(a.trial) - Number(b.trial) || b.at.localeCompare(a.at))) {
    const ladder = run.closed.length > 0 && first(run, 'ladder')
    const situations = run.situations.filter(({ name }) => first(run, name))
    if (!ladder && situations.length === 0) continue
    pruned.push(
      ladder
        ? { ...run, situations }
        : { ...run, closed: [], open: [], systems: [], leftOut: [], situations },
    )
  }
  return pruned.toSorted(
    (a, b) =>
      a.brokers.name.localeCompare(b.brokers.name) ||
      Number(b.closed.length > 0) - Number(a.closed.length > 0),
  )
}
