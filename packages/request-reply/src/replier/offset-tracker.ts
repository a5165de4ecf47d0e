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
 * nothing. Which they are can still be told: everything that was read and is not in the list (`finished-ahead.ts`).
 * Offsets may have gaps (compaction, transaction markers): what counts is the order in which records came.
 */
export class OffsetTracker<Item extends Tracked<Item>> {
  #first: Item | undefined
  #last: Item | undefined
  #end = 0
  #added = 0
  #unfinished = 0
  /** The first record before which no offset came twice. */
  #orderedFrom = 0

  /** The offset to commit: that of the first record which is not finished. `undefined` before the first was read. */
  get next(): number | undefined {
    return this.#first?.offset ?? (this.#added === 0 ? undefined : this.#end)
  }

  /** How many records lie before `next`. */
  get passed(): number {
    return this.#first?.index ?? this.#added
  }

  /** How many records, finished or not, were read from `next` on: so many would come again after a crash. */
  get ahead(): number {
    return this.#added - this.passed
  }

  /** How many records are finished, wherever they stand. */
  get finished(): number {
    return this.#added - this.#unfinished
  }

  /** The first offset behind everything that was read. */
  get end(): number {
    return this.#end
  }

  /** Whether offsets rise from `next` on: of a topic that is made anew while it is read they begin again. */
  get ordered(): boolean {
    return this.passed >= this.#orderedFrom
  }

  /** The lowest unfinished record; the others `following`. */
  get first(): Item | undefined {
    return this.#first
  }

  add(item: Item): void {
    if (item.offset < this.#end) this.#orderedFrom = this.#added
    item.index = this.#added++
    this.#unfinished++
    this.#end = item.next
    if (this.#first === undefined) {
      this.#first = item
    } else {
      this.#last!.following = item
      item.before = this.#last
    }
    this.#last = item
  }

  /** What was read from `offset` to before `next` was finished by a former owner. True when `next` has moved. */
  pass(offset: number, next: number): boolean {
    if (offset < this.#end) this.#orderedFrom = this.#added
    this.#added++
    this.#end = next
    return this.#first === undefined
  }

  /** Nothing is left to do for the record: it was answered, or passed over. True when `next` has moved. */
  finish(item: Item): boolean {
    const { before, following } = item
    this.#unfinished--
    if (before === undefined) this.#first = following
    else before.following = following
    if (following === undefined) this.#last = before
    else following.before = before
    // One that has grown old would keep all that came after it from every young collection.
    item.before = undefined
    item.following = undefined
    return before === undefined
  }
}
