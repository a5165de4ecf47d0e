/** Another checkout of the project as a system: the same sides, in blocks that take turns with this one's. */
import { existsSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import type { BenchSystem, SidePlan } from '../system.ts'
import { SideProcess } from './side-process.ts'

const sideOf = (checkout: string): string => join(resolve(checkout), 'bench/src/side/main.ts')

/** What is wrong with it as a checkout, if anything. */
export function problemOfCheckout(checkout: string): string | undefined {
  if (!existsSync(sideOf(checkout))) return 'has no bench/src/side/main.ts'
  return existsSync(join(checkout, 'node_modules')) ? undefined : 'is not installed: run npm ci in it'
}

/** The system as that checkout has it; its side protocol must be the one of today. */
export function beside(system: BenchSystem, checkout: string): BenchSystem {
  const { durability, server } = system
  const name = `${system.name} (${basename(resolve(checkout))})`
  const start = (plan: SidePlan): Promise<SideProcess> => {
    const args = ['--conditions=x-source', sideOf(checkout), JSON.stringify({ ...plan, system: system.name })]
    return SideProcess.start(process.execPath, args, `${name}, ${plan.side}`)
  }
  return { name, durability, server, sides: { start } }
}
