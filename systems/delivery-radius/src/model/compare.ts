/** Holds the database against the model, shop by shop. */
import type { ModelShop } from './model.ts'

/** A row of `shops`. */
export interface StoredShop {
  readonly id: string
  readonly base: number
  readonly radius: number
  readonly active: readonly string[]
  readonly changes: number
}

/** What differs, in words; empty when the database is exactly what the model says. */
export function differences(
  stored: Iterable<StoredShop>,
  model: ReadonlyMap<string, ModelShop>,
): readonly string[] {
  const found: string[] = []
  const seen = new Set<string>()
  for (const { id, base, radius, active, changes } of stored) {
    seen.add(id)
    const is = inWords({ radius, active, changes })
    const must = inWords(model.get(id) ?? { radius: base, active: [], changes: 0 })
    if (is !== must) found.push(`${id} is ${is}; it must be ${must}`)
  }
  for (const id of model.keys())
    if (!seen.has(id)) found.push(`${id} was to be changed, and is not in the database`)
  return found
}

function inWords({ radius, active, changes }: Omit<StoredShop, 'id' | 'base'>): string {
  const going = active.length === 0 ? 'nothing going on' : active.join(', ')
  return `${radius} m after ${changes} changes (${going})`
}
