/** A row of `shops`, as the ways with locks read and write it: whole, as a mapper from objects to rows would. */
import { apply, type Change, type Kind, type Shop } from '../domain/radius.ts'

export interface ShopRow extends Shop {
  readonly id: string
  readonly changes: number
}

export type Changed = { readonly row: ShopRow } | { readonly refused: string }

export function change(row: ShopRow, { kind, action }: Change): Changed {
  const applied = apply(row, { kind, action })
  if ('refused' in applied) return applied
  return { row: { ...applied.shop, id: row.id, changes: row.changes + 1 } }
}

export const columns = 's.id, s.base, s.radius, s.active, s.changes'

export type { Change, Kind }
