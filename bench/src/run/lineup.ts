/** Who takes part: opens what can run, and names what cannot. */
import { connect } from 'node:net'
import type { BenchSystem } from '../system.ts'
import { baseline, systems } from '../systems/index.ts'
import type { Runner } from './ladder.ts'
import { beside } from './beside.ts'
import { Pair, type Stage } from './pair.ts'

/** The second pair of the baseline: its ratio to the first shows what the run cannot tell apart. */
export const control = `${baseline.name} (A/A)`

export interface Lineup {
  readonly runners: readonly Runner[]
  readonly serverVersions: readonly string[]
  readonly leftOut: readonly { readonly name: string; readonly why: string }[]
}

/**
 * Opens and warms up the systems that `chosen` accepts; the baseline, first, and its control always take part. Another
 * that cannot be opened is left out. With another checkout, its Milena stands beside each of ours.
 */
export async function lineUp(
  stage: Stage,
  chosen: (system: BenchSystem) => boolean,
  checkout?: string,
): Promise<Lineup> {
  const runners: Runner[] = []
  const leftOut: { name: string; why: string }[] = []
  const serverVersions: string[] = []
  const others = systems
    .filter((system) => system !== baseline && chosen(system))
    .flatMap((system) =>
      checkout !== undefined && system.name.startsWith('Milena')
        ? [system, beside(system, checkout)]
        : [system],
    )
  for (const system of [baseline, ...others]) {
    const missing = tooCold(system, stage) ?? (await missingServer(system)) ?? (await system.missing?.())
    if (missing !== undefined) {
      leftOut.push({ name: system.name, why: missing })
      continue
    }
    try {
      runners.push({ name: system.name, pair: await Pair.open(stage, system) })
    } catch (error) {
      if (system === baseline) throw error
      leftOut.push({ name: system.name, why: (error as Error).message })
      continue
    }
    if (system.serverVersion !== undefined) serverVersions.push(await system.serverVersion())
  }
  runners.push({ name: control, pair: await Pair.open(stage, baseline) })
  for (const { pair } of runners) await pair.warmUp()
  return { runners, serverVersions, leftOut }
}

function tooCold({ warmUp = 0 }: BenchSystem, { longestWarmUp }: Stage): string | undefined {
  if (warmUp <= longestWarmUp) return undefined
  return `needs ${warmUp / 1000} s of load before it is measured, which a quick run has not`
}

async function missingServer({ server }: BenchSystem): Promise<string | undefined> {
  if (typeof server !== 'number') return undefined
  const there = await new Promise<boolean>((resolve) => {
    const socket = connect(server, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
  return there ? undefined : `no server at 127.0.0.1:${server}`
}
