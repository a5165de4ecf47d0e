/** What the tracker knows of a record; the record's own object carries it, so that nothing is made for the purpose. */
export interface Tracked<Item> {
  readonly offset: number
  /** Nothing is left to do: it was answered, or passed over. */
  finished: boolean
  /** The record that came after this one in its partition. */
  following: Item | undefined
}

/**
 * The records of one partition that were read, in order, and how far they are finished without a gap.
 *
 *     offset      4    5    6    8
 *     finished   yes  no   yes  yes      next = 5: a commit never passes the lowest unfinished record
 *
 * Offsets may have gaps (compaction, transaction markers): what counts is the order in which records came.
 */
export class OffsetTracker<Item extends Tracked<Item>> {
  #first: Item | undefined
  #last: Item | undefined
  #next: number | undefined
  #passed = 0

  /** The offset to commit: that of the first record which is not finished. `undefined` before the first record. */
  get next(): number | undefined {
    return this.#next
  }

  /** How many records lie before `next`. */
  get passed(): number {
    return this.#passed
  }

  add(item: Item): void {
    if (this.#first === undefined) {
      this.#first = item
      this.#next ??= item.offset
    } else {
      this.#last!.following = item
    }
    this.#last = item
  }

  /** Marks the record as finished; true when `next` has moved. */
  finish(item: Item): boolean {
    item.finished = true
    if (item !== this.#first) return false
    let at: Item | undefined = item
    let last = item
    while (at?.finished) {
      last = at
      at = at.following
      // One that has grown old would keep all that came after it from every young collection.
      last.following = undefined
      this.#passed++
    }
    this.#first = at
    this.#next = at === undefined ? last.offset + 1 : at.offset
    if (at === undefined) this.#last = undefined
    return true
  }
}
