import type { IncomingRecord } from '../transport/transport.ts'

/** The most records that are remembered of one partition; of more, the oldest half is forgotten. */
const most = 20_000

/**
 * What this process has finished of one partition and does not know to be committed.
 *
 * Why: a handler computes for longer than the session lasts. When it ends the partition has been given away, or is given
 * anew to this very process, and the request comes again, since its commit could not be made. Without this memory it
 * would be handled again and again, and nothing ever committed.
 *
 * A record is known by its offset, its timestamp and a part of its correlation id: a topic that was made anew uses the
 * offsets again. Three numbers for each, in arrays: it is done for every request.
 */
export class FinishedMemory {
  #offsets: number[] = []
  #timestamps: number[] = []
  #ids: number[] = []
  /** By offset, the place in the arrays; made when somebody asks. */
  #places: Map<number, number> | undefined

  get size(): number {
    return this.#offsets.length
  }

  add(record: IncomingRecord, correlationId: Buffer | undefined): void {
    if (this.#offsets.length >= most) this.#keep((_, place) => place >= most / 2)
    this.#places?.set(record.offset, this.#offsets.length)
    this.#offsets.push(record.offset)
    this.#timestamps.push(record.timestamp)
    this.#ids.push(partOf(correlationId))
  }

  /** What lies below `next` is committed. */
  committed(next: number): void {
    if (this.#offsets.length > 0) this.#keep((offset) => offset >= next)
  }

  has(record: IncomingRecord, correlationId: Buffer | undefined): boolean {
    if (this.#offsets.length === 0) return false
    this.#places ??= new Map(this.#offsets.map((offset, place) => [offset, place]))
    const place = this.#places.get(record.offset)
    if (place === undefined || this.#timestamps[place] !== record.timestamp) return false
    // Of one that nobody could be answered for, the id was not kept.
    return this.#ids[place] === 0 || this.#ids[place] === partOf(correlationId)
  }

  #keep(wanted: (offset: number, place: number) => boolean): void {
    const offsets = this.#offsets
    let kept = 0
    for (let place = 0; place < offsets.length; place++) {
      if (!wanted(offsets[place]!, place)) continue
      offsets[kept] = offsets[place]!
      this.#timestamps[kept] = this.#timestamps[place]!
      this.#ids[kept] = this.#ids[place]!
      kept++
    }
    offsets.length = kept
    this.#timestamps.length = kept
    this.#ids.length = kept
    this.#places = undefined
  }
}

/** Ids are random, or counted up: their last bytes tell them apart. */
function partOf(correlationId: Buffer | undefined): number {
  if (correlationId === undefined || correlationId.length === 0) return 0
  const bytes = Math.min(6, correlationId.length)
  return correlationId.readUIntBE(correlationId.length - bytes, bytes)
}
