/**
 * What a requester remembers of requests that have their outcome, to tell late, duplicate and foreign replies apart.
 * Both memories are bounded: what is forgotten counts as foreign.
 */

/** Remembers the last entries, between `capacity` and twice as many, in two generations: no entry is ever deleted by itself. */
export class RecentIds {
  readonly #capacity: number
  #current = new Set<string>()
  #previous = new Set<string>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  add(id: string): void {
    if (this.#current.size >= this.#capacity) {
      this.#previous = this.#current
      this.#current = new Set()
    }
    this.#current.add(id)
  }

  has(id: string): boolean {
    return this.#current.has(id) || this.#previous.has(id)
  }
}

/** Remembers the last `capacity` entries, fewer when they have more than `maxBytes`; the oldest is forgotten first. */
export class RecentEntries<Entry> {
  readonly #capacity: number
  readonly #maxBytes: number
  readonly #entries = new Map<string, { readonly entry: Entry; readonly bytes: number }>()
  #bytes = 0

  constructor(capacity: number, maxBytes: number) {
    this.#capacity = capacity
    this.#maxBytes = maxBytes
  }

  add(id: string, entry: Entry, bytes: number): void {
    this.#entries.set(id, { entry, bytes })
    this.#bytes += bytes
    while (this.#entries.size > this.#capacity || this.#bytes > this.#maxBytes) {
      this.take(this.#entries.keys().next().value!)
    }
  }

  /** The entry, which is forgotten. */
  take(id: string): Entry | undefined {
    const found = this.#entries.get(id)
    if (found === undefined) return undefined
    this.#entries.delete(id)
    this.#bytes -= found.bytes
    return found.entry
  }
}
