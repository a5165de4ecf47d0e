/**
 * Simulates many seeds, or one again:
 *
 *     node --conditions=x-source test/simulation/run.ts [--seeds 100] [--from 0] [--seed S] [--routing R] [--history]
 *
 * A failing run is made smaller by leaving out every fault without which it fails as well.
 */
import { parseArgs } from 'node:util'
import { explain } from './shrink.ts'
import { simulate } from './simulate.ts'
import { routings } from './simulated.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '0' },
    seed: { type: 'string' },
    routing: { type: 'string' },
    history: { type: 'boolean', default: false },
  },
})

const seeds = values.seed === undefined ? numbered(Number(values.from), Number(values.seeds)) : [values.seed]
const chosen = values.routing === undefined ? Object.keys(routings) : [values.routing]
let failures = 0
const counters: Record<string, number> = {}
const began = performance.now()
for (const seed of seeds)
  for (const routing of chosen) {
    const result = await simulate({ seed, routing })
    for (const [name, count] of Object.entries(result.counters))
      counters[name] = (counters[name] ?? 0) + count
    if (values.history) for (const happening of result.history) console.log(JSON.stringify(happening))
    if (result.violations.length === 0) continue
    failures++
    console.log(await explain({ seed, routing }, result))
  }
const seconds = ((performance.now() - began) / 1_000).toFixed(1)
console.log(counters)
console.log(`${seeds.length} seeds under ${chosen.join(', ')}: ${failures} failures, ${seconds} s`)
process.exitCode = failures === 0 ? 0 : 1

function numbered(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(from + i))
}
