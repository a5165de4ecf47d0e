/**
 * What a requester remembers of requests that have their outcome, to tell late, duplicate, contradicting and foreign
 * replies apart. Both memories are bounded: what is forgotten counts as foreign.
 */
import type { RecordPosition } from '../transport/transport.ts'

/** What is kept of a reply: enough to say whether another one is the same, and where it stands. */
export interface ReplySeen {
  readonly fingerprint: number
  readonly position: RecordPosition
}

/** Replies of about as many requests, as numbers in columns: an object for each would grow old, and be in a collection's way. */
class Generation {
  rows = new Map<string, number>()
  readonly #fingerprints: number[] = []
  readonly #topics: string[] = []
  readonly #partitions: number[] = []
  readonly #offsets: number[] = []

  add(id: string, fingerprint: number, { topic, partition, offset }: RecordPosition): void {
    const row = this.rows.size
    this.rows.set(id, row)
    this.#fingerprints[row] = fingerprint
    this.#topics[row] = topic // one string for all records of a batch
    this.#partitions[row] = partition
    this.#offsets[row] = offset
  }

  /** Empty again, in the same columns. */
  clear(): this {
    this.rows = new Map()
    return this
  }

  at(row: number): ReplySeen {
    return {
      fingerprint: this.#fingerprints[row]!,
      position: {
        topic: this.#topics[row]!,
        partition: this.#partitions[row]!,
        offset: this.#offsets[row]!,
      },
    }
  }
}

/**
 * Remembers the last requests that were answered, between `capacity` and twice as many, in two generations: no entry is
 * ever deleted by itself.
 */
export class AnsweredRequests {
  readonly #capacity: number
  #current = new Generation()
  #previous = new Generation()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  add(id: string, fingerprint: number, position: RecordPosition): void {
    if (this.#capacity === 0) return
    if (this.#current.rows.size >= this.#capacity) {
      const forgotten = this.#previous
      this.#previous = this.#current
      this.#current = forgotten.clear()
    }
    this.#current.add(id, fingerprint, position)
  }

  /** The reply that this request was answered with. */
  find(id: string): ReplySeen | undefined {
    const row = this.#current.rows.get(id)
    if (row !== undefined) return this.#current.at(row)
    const older = this.#previous.rows.get(id)
    return older === undefined ? undefined : this.#previous.at(older)
  }
}

/**
 * Remembers the last `capacity` entries, fewer when they have more than `maxBytes`; the oldest is forgotten first, and
 * counted.
 */
export class RecentEntries<Entry> {
  readonly #capacity: number
  readonly #maxBytes: number
  readonly #onForgotten: (entry: Entry) => void
  readonly #entries = new Map<string, { readonly entry: Entry; readonly bytes: number }>()
  #bytes = 0

  constructor(capacity: number, maxBytes: number, onForgotten: (entry: Entry) => void) {
    this.#capacity = capacity
    this.#maxBytes = maxBytes
    this.#onForgotten = onForgotten
  }

  add(id: string, entry: Entry, bytes: number): void {
    this.take(id)
    this.#entries.set(id, { entry, bytes })
    this.#bytes += bytes
    while (this.#entries.size > this.#capacity || this.#bytes > this.#maxBytes) {
      this.#onForgotten(this.take(this.#entries.keys().next().value!)!)
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
