/**
 * A map for entries that come and go, by the thousand a second.
 *
 * V8's own Map moves to a new table whenever it has had as many additions as there is room for, however many were
 * deleted meanwhile, and the table that it leaves refers to the next one. Once a full collection has made such a table
 * old, it is garbage that no young collection finds, and neither are all tables after it, with whatever they held when
 * they were left: with many in flight a requester's young collections took 11 to 19 ms with it, and take 2 to 3 without.
 * Here the entries move to a new Map before that, to which nothing refers but this object.
 */
export class PassingMap<Key, Value> {
  #entries = new Map<Key, Value>()
  #additions = 0
  #room = leastRoom

  get size(): number {
    return this.#entries.size
  }

  get(key: Key): Value | undefined {
    return this.#entries.get(key)
  }

  set(key: Key, value: Value): void {
    if (++this.#additions > this.#room) this.#move()
    this.#entries.set(key, value)
  }

  delete(key: Key): boolean {
    return this.#entries.delete(key)
  }

  /** In the order in which the keys came. */
  values(): MapIterator<Value> {
    return this.#entries.values()
  }

  #move(): void {
    this.#entries = new Map(this.#entries)
    this.#additions = this.#entries.size + 1
    this.#room = Math.max(leastRoom, 4 * this.#entries.size)
  }
}

/** Additions between two moves, at least. */
const leastRoom = 256
