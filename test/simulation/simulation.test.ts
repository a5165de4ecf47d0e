/**
 * Tier 1: simulated runs on every commit. `SIMULATION_SEEDS=1000` simulates more of them.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defects } from './defects.ts'
import type { Happening } from './history.ts'
import { explain } from './shrink.ts'
import { simulate } from './simulate.ts'
import { routings } from './simulated.ts'

const seeds = Array.from({ length: Number(process.env['SIMULATION_SEEDS'] ?? 10) }, (_, i) => `ci-${i}`)
/** Seeds in which a planted bug must have been found. */
const patience = 30

describe('simulation', () => {
  const counters: Record<string, number> = {}
  const events = new Set<string>()
  const hashes = new Set<string>()

  for (const routing of Object.keys(routings))
    it(`holds every invariant under ${routing}, and every seed gives the same history again`, async () => {
      for (const seed of seeds) {
        const result = await simulate({ seed, routing })
        if (result.violations.length > 0) assert.fail(await explain({ seed, routing }, result))
        const again = await simulate({ seed, routing })
        assert.equal(again.hash, result.hash, `seed ${seed} under ${routing} gives two histories`)
        hashes.add(result.hash)
        for (const [name, count] of Object.entries(result.counters))
          counters[name] = (counters[name] ?? 0) + count
        for (const happening of result.history) events.add(eventOf(happening))
        if (hasReplyAfterError(result.history)) events.add('late after an error')
      }
    })

  it('simulates something else with each seed', () => {
    assert.equal(hashes.size, seeds.length * Object.keys(routings).length)
  })

  // What never happens is not tested.
  const sometimes = [
    'requester.replied',
    'requester.remoteErrors',
    'requester.timedOut',
    'requester.cancelled',
    'requester.failed',
    'requester.abandoned',
    'requester.rejected',
    'requester.late',
    'requester.duplicate',
    'requester.foreign',
    'replier.redelivered',
    'replier.committed',
    'replier.repeated',
    'replier.retried',
  ]
  it(`sees each of these at least once: ${sometimes.join(', ')}`, () => {
    for (const name of sometimes) assert.ok((counters[name] ?? 0) > 0, `never: ${name}`)
  })

  const sometimesEvents = [
    'process crash',
    'process closed',
    'outcome MILENA_NOT_SENT',
    'replied MILENA_DEADLINE_EXCEEDED',
    'replied MILENA_HANDLER_FAILED',
    'replied REFUSED',
    'late MILENA_DEADLINE_EXCEEDED',
    'late after an error',
    'passed over reply-undeliverable',
    'kept',
  ]
  it(`sees each of these events at least once: ${sometimesEvents.join(', ')}`, () => {
    for (const event of sometimesEvents) assert.ok(events.has(event), `never: ${event}`)
  })
})

describe('checkers', () => {
  for (const { name, breaks, routing = 'replyPartition', plant } of defects)
    it(`find by ${breaks} that ${name}`, async () => {
      const seen = new Set<string>()
      for (let seed = 0; seed < patience; seed++) {
        const { violations } = await simulate({ seed: `defect-${seed}`, routing, defect: plant() })
        for (const { invariant } of violations) seen.add(invariant)
        if (seen.has(breaks)) return
      }
      assert.fail(`not found in ${patience} seeds; found: ${[...seen].join(', ') || 'nothing'}`)
    })
})

function eventOf(happening: Happening): string {
  if (happening.what === 'process') return `process ${happening.event}`
  if (happening.what === 'outcome' || happening.what === 'replied')
    return `${happening.what} ${happening.code}`
  if (happening.what === 'late' && happening.code !== undefined) return `late ${happening.code}`
  if (happening.what === 'passed over') return `passed over ${happening.reason}`
  return happening.what
}

/** A caller was told an error that left the effect open, and was handed the reply after that. */
function hasReplyAfterError(history: readonly Happening[]): boolean {
  const told = new Set<string>()
  for (const happening of history) {
    if (happening.what !== 'outcome' && happening.what !== 'late') continue
    const isError =
      happening.what === 'late' ? happening.code !== undefined : happening.code === 'MILENA_REMOTE_ERROR'
    if (isError && happening.effect === 'unknown') told.add(happening.id)
    if (happening.what === 'late' && happening.code === undefined && told.has(happening.id)) return true
  }
  return false
}
