/** What the tracker knows of a record; the record's own object carries it, so that nothing is made for the purpose. */
export interface Tracked<Item> {
  readonly offset: number
  /** The first offset behind it; one more than its own, but for a stretch that could not be read. */
  readonly next: number
  /** Its number among the records of its partition, from 0; set by the tracker. */
  index: number
  /** The unfinished records before and after it. */
  before: Item | undefined
  following: Item | undefined
}

/**
 * The records of one partition that were read and are not finished, in order.
 *
 *     offset      4    5    6    8
 *     finished   yes  no   yes  no       kept: 5 ⇄ 8       next = 5: a commit never passes the lowest unfinished record
 *
 * A finished record is taken out at once, wherever it stands: while one is never finished, those answered after it take
 * nothing. Offsets may have gaps (compaction, transaction markers): what counts is the order in which records came.
 */
export class OffsetTracker<Item extends Tracked<Item>> {
  #first: Item | undefined
  #last: Item | undefined
  #next: number | undefined
  #end = 0
  #added = 0

  /** The offset to commit: that of the first record which is not finished. `undefined` before the first record. */
  get next(): number | undefined {
    return this.#next
  }

  /** How many records lie before `next`. */
  get passed(): number {
    return this.#first?.index ?? this.#added
  }

  /** How many records, finished or not, were read from `next` on: so many would come again after a crash. */
  get ahead(): number {
    return this.#added - this.passed
  }

  /** The lowest unfinished record; the others `following`. */
  get first(): Item | undefined {
    return this.#first
  }

  add(item: Item): void {
    item.index = this.#added++
    this.#end = item.next
    this.#next ??= item.offset
    if (this.#first === undefined) {
      this.#first = item
    } else {
      this.#last!.following = item
      item.before = this.#last
    }
    this.#last = item
  }

  /** Nothing is left to do for the record: it was answered, or passed over. True when `next` has moved. */
  finish(item: Item): boolean {
    const { before, following } = item
    if (before === undefined) this.#first = following
    else before.following = following
    if (following === undefined) this.#last = before
    else following.before = before
    // One that has grown old would keep all that came after it from every young collection.
    item.before = undefined
    item.following = undefined
    if (before !== undefined) return false
    this.#next = following === undefined ? this.#end : following.offset
    return true
  }
}
