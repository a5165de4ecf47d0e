import { PassingMap } from '../passing-map.ts'

/** What the scheduler keeps with a record; the record's own object carries it. */
export interface Laned<Item> {
  /** The key; without one the record waits for nobody. */
  readonly lane: string | undefined
  readonly lanes: Lanes<Item>
  /** The next record of the same key. */
  behind: Item | undefined
  /** The next record of the partition that is ready to begin. */
  nextReady: Item | undefined
}

/**
 * One partition's lanes. They belong to the partition, not to its assignment: when a partition was lost and comes back
 * while an old record of a key is still running, the new ones wait for it.
 */
export class Lanes<Item> {
  /** The last record of each key that has any in hand. */
  readonly last: PassingMap<string, Item> = new PassingMap()
  /** Those that are ready to begin, in the order in which they came. */
  firstReady: Item | undefined
  lastReady: Item | undefined
  /** The next partition in turn. */
  nextInTurn: Lanes<Item> | undefined
  /** Whether it is among those whose turn comes. */
  inTurn = false
  /** While true, nothing of the partition begins; only what is tried `again`. */
  still = false
}

export interface KeyLanesOptions<Item> {
  /** How many may run at once. */
  readonly concurrency: number
  /** Whether the record is still to be handled; asked when its turn has come. */
  wanted(item: Item): boolean
  /** Begins with the record; `done` is called when the next of its key may begin. Must not throw. */
  begin(item: Item): void
  /** The record is not wanted any more and was dropped. */
  dropped(item: Item): void
}

/**
 * Decides when each record's turn has come: records of one key one after the other, everything else at once, as far as
 * `concurrency` allows. Partitions take turns, so that a backlog in one does not hold up the others.
 *
 * A record that has begun has a slot and its key's lane. `done` lets go of both; `park` only of the slot, for a record
 * that is to begin again later: whatever else has its key waits behind it.
 *
 *     partition 0   lane k1:  [running] ─ behind ─▶ [waiting] ─▶ [waiting]
 *                   lane k2:  [ready]
 *                   (no key)  [ready]               ready: k2 ─▶ (no key)
 *     partition 1   lane k1:  [ready]               ready: k1
 *
 *     begins next:  0/k2, 1/k1, 0/(no key)
 */
export class KeyLanes<Item extends Laned<Item>> {
  readonly #options: KeyLanesOptions<Item>
  #running = 0
  #ended = 0
  /** Parked records that go on before anything else. */
  readonly #again: Item[] = []
  /** The partitions that have something ready. */
  #firstInTurn: Lanes<Item> | undefined
  #lastInTurn: Lanes<Item> | undefined
  #looking = false

  constructor(options: KeyLanesOptions<Item>) {
    this.#options = options
  }

  /** How many are running. */
  get running(): number {
    return this.#running
  }

  /** How many have let go of their slot since the beginning. */
  get ended(): number {
    return this.#ended
  }

  /** Takes in a record; call `look` after the last of a batch. */
  add(item: Item): void {
    if (item.lane === undefined) return this.#ready(item)
    const last = item.lanes.last.get(item.lane)
    item.lanes.last.set(item.lane, item)
    if (last === undefined) this.#ready(item)
    else last.behind = item
  }

  /** A record that has begun is handled. */
  done(item: Item): void {
    this.#running--
    this.#ended++
    this.#leave(item)
    this.look()
  }

  /** A record that has begun begins again later: its slot is free, its lane is not. */
  park(): void {
    this.#running--
    this.#ended++
    this.look()
  }

  /** A parked record begins again when the turn of its partition comes, before the others of it. */
  ready(item: Item): void {
    const { lanes } = item
    item.nextReady = lanes.firstReady
    lanes.firstReady = item
    lanes.lastReady ??= item
    this.#queue(lanes)
    this.look()
  }

  /** A parked record begins again with the next slot that is free, even when its partition stands still. */
  again(item: Item): void {
    this.#again.push(item)
    this.look()
  }

  /** A parked record does not begin again. */
  drop(item: Item): void {
    this.#leave(item)
    this.look()
  }

  /** Nothing more of this partition begins until `goOn`. */
  standStill(lanes: Lanes<Item>): void {
    lanes.still = true
  }

  goOn(lanes: Lanes<Item>): void {
    if (!lanes.still) return
    lanes.still = false
    if (lanes.firstReady !== undefined) this.#queue(lanes)
    this.look()
  }

  /** Begins with what is ready. Not re-entrant: a record that is done at once must not deepen the stack. */
  look(): void {
    if (this.#looking) return
    this.#looking = true
    try {
      this.#beginReady()
    } finally {
      this.#looking = false
    }
  }

  #beginReady(): void {
    while (this.#running < this.#options.concurrency) {
      const item = this.#again.length > 0 ? this.#again.shift() : this.#takeNext()
      if (item === undefined) return
      if (this.#options.wanted(item)) {
        this.#running++
        this.#options.begin(item)
      } else {
        this.#leave(item)
        this.#options.dropped(item)
      }
    }
  }

  /** Takes the first record of the partition whose turn it is; if it has more, it comes last in turn. */
  #takeNext(): Item | undefined {
    for (;;) {
      const lanes = this.#firstInTurn
      if (lanes === undefined) return undefined
      this.#firstInTurn = lanes.nextInTurn
      if (this.#firstInTurn === undefined) this.#lastInTurn = undefined
      lanes.nextInTurn = undefined
      lanes.inTurn = false
      if (lanes.still) continue
      const item = lanes.firstReady!
      lanes.firstReady = item.nextReady
      item.nextReady = undefined
      if (lanes.firstReady === undefined) lanes.lastReady = undefined
      else this.#queue(lanes)
      return item
    }
  }

  #ready(item: Item): void {
    const { lanes } = item
    if (lanes.lastReady === undefined) lanes.firstReady = item
    else lanes.lastReady.nextReady = item
    lanes.lastReady = item
    this.#queue(lanes)
  }

  #queue(lanes: Lanes<Item>): void {
    if (lanes.inTurn || lanes.still) return
    lanes.inTurn = true
    if (this.#lastInTurn === undefined) this.#firstInTurn = lanes
    else this.#lastInTurn.nextInTurn = lanes
    this.#lastInTurn = lanes
  }

  #leave(item: Item): void {
    if (item.lane === undefined) return
    if (item.behind === undefined) item.lanes.last.delete(item.lane)
    else this.#ready(item.behind)
    item.behind = undefined
  }
}
