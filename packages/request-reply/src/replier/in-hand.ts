import type { PartitionWork } from './partition-work.ts'

export interface InHandOptions {
  readonly maxRecords: number
  readonly maxBytes: number
  pause(work: PartitionWork): void
  resume(work: PartitionWork): void
}

/**
 * Keeps what was read and is not yet finished within bounds, by pausing partitions.
 *
 * When there is too much, only those partitions stop that hold more than an equal share: one with a slow key does not
 * take the others' room. They go on below half their share, or when all together is below three quarters of the bound.
 * Records on their way when a partition is paused still come: the bound is of what is asked for.
 */
export class InHand {
  readonly #options: InHandOptions
  readonly #works = new Set<PartitionWork>()
  #records = 0
  #bytes = 0
  #setAside = 0

  constructor(options: InHandOptions) {
    this.#options = options
  }

  get records(): number {
    return this.#records
  }

  get bytes(): number {
    return this.#bytes
  }

  get paused(): number {
    let paused = 0
    for (const work of this.#works) if (work.paused) paused++
    return paused
  }

  enter(work: PartitionWork): void {
    this.#works.add(work)
  }

  /** The partition goes: what it has does not count any more. */
  forget(work: PartitionWork): void {
    if (!this.#works.delete(work)) return
    this.#records -= work.records
    this.#bytes -= work.bytes
    this.#resumeAll()
  }

  add(work: PartitionWork, size: number): void {
    this.#records++
    this.#bytes += size
    work.records++
    work.bytes += size
    this.#pauseIfTooMuch(work)
  }

  /**
   * So many of the records wait for addresses that acknowledge nothing: they do not take the others' room. No more than
   * the bound again, so that twice as much is in hand at the most.
   */
  setAside(records: number): void {
    this.#setAside = Math.min(records, this.#options.maxRecords)
    this.#resumeAll()
  }

  #pauseIfTooMuch(work: PartitionWork): void {
    if (work.paused || !this.#exceeds(this.#records - this.#setAside, this.#bytes, 1)) return
    if (!this.#exceeds(work.records, work.bytes, 1 / this.#works.size)) return
    work.paused = true
    this.#options.pause(work)
  }

  /** A record in hand takes more, or less, than it did: its reply waits to be acknowledged. */
  resize(work: PartitionWork, bytes: number): void {
    if (!this.#works.has(work)) return
    this.#bytes += bytes
    work.bytes += bytes
    this.#pauseIfTooMuch(work)
  }

  remove(work: PartitionWork, size: number): void {
    if (!this.#works.has(work)) return
    this.#records--
    this.#bytes -= size
    work.records--
    work.bytes -= size
    if (work.paused && !this.#exceeds(work.records, work.bytes, 0.5 / this.#works.size)) this.#resume(work)
    this.#resumeAll()
  }

  #exceeds(records: number, bytes: number, part: number): boolean {
    return records > this.#options.maxRecords * part || bytes > this.#options.maxBytes * part
  }

  #resumeAll(): void {
    if (this.#exceeds(this.#records - this.#setAside, this.#bytes, 0.75)) return
    for (const work of this.#works) if (work.paused) this.#resume(work)
  }

  #resume(work: PartitionWork): void {
    work.paused = false
    this.#options.resume(work)
  }
}
