/**
 * What the shops must be: the changes in the order in which they were accepted, one after the other. Written from the
 * rules alone, so that a fault of the worker, of its statements or of the domain's code is not repeated here.
 *
 * A begin of what goes on already, and an end of what does not, change nothing. What began last, of all that goes on,
 * decides how much of the base radius is left: rider shortage 60 %, bad weather 40 %, system failure 10 %.
 */

export interface ModelShop {
  radius: number
  /** What goes on, in the order in which it began. */
  active: string[]
  /** Changes that were made. */
  changes: number
}

/** A request as it stands in the topic: the fields of the document's message that count here. */
export interface ModelRequest {
  readonly id: string
  readonly key: string
  readonly data: { readonly kind: string; readonly action: string }
}

const percent = new Map([
  ['rider-shortage', 60],
  ['bad-weather', 40],
  ['system-failure', 10],
])

export class Model {
  readonly shops = new Map<string, ModelShop>()
  readonly #base: number

  /** @param base radius of all shops, in metres */
  constructor(base: number) {
    this.#base = base
  }

  /** The next request of its partition. Returns whether it makes a change. */
  next({ key, data: { kind, action } }: ModelRequest): boolean {
    let shop = this.shops.get(key)
    if (shop === undefined) this.shops.set(key, (shop = { radius: this.#base, active: [], changes: 0 }))
    const place = shop.active.indexOf(kind)
    if ((action === 'begin') !== place < 0) return false
    if (action === 'begin') shop.active.push(kind)
    else shop.active.splice(place, 1)
    const last = shop.active[shop.active.length - 1]
    shop.radius = last === undefined ? this.#base : Math.round((this.#base / 100) * percent.get(last)!)
    shop.changes++
    return true
  }
}
