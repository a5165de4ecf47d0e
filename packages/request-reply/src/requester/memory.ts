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

/** Bytes of a correlation id of ours. */
const idLength = 16
/** Rows at first; there are twice as many whenever these are full. */
const firstRoom = 256

/**
 * Replies to many requests, as numbers in columns: a string and an object for each would grow old, and be in every
 * collection's way until then. A row is found by its id in a table of row numbers with open addressing.
 */
class Generation {
  size = 0
  #room = 0
  #ids = new Uint8Array(0)
  #fingerprints = new Int32Array(0)
  #partitions = new Int32Array(0)
  #offsets = new Float64Array(0)
  #topics = new Uint32Array(0)
  /** One for all records of a topic. */
  readonly #topicNames: string[] = []
  /** One more than the row; 0: nothing. Twice as many places as rows, at least. */
  #places = new Int32Array(0)

  /** The last reply to a request counts. */
  add(id: Uint8Array, fingerprint: number, { topic, partition, offset }: RecordPosition): void {
    if (this.size === this.#room) this.#grow()
    const place = this.#placeOf(id)
    const known = this.#places[place]!
    const row = known === 0 ? this.size++ : known - 1
    if (known === 0) {
      this.#places[place] = row + 1
      const ids = this.#ids
      const start = row * idLength
      for (let i = 0; i < idLength; i++) ids[start + i] = id[i]!
    }
    this.#fingerprints[row] = fingerprint
    this.#partitions[row] = partition
    this.#offsets[row] = offset
    let number = this.#topicNames.indexOf(topic)
    if (number === -1) number = this.#topicNames.push(topic) - 1
    this.#topics[row] = number
  }

  find(id: Uint8Array): ReplySeen | undefined {
    if (this.size === 0) return undefined
    const row = this.#places[this.#placeOf(id)]! - 1
    if (row === -1) return undefined
    return {
      fingerprint: this.#fingerprints[row]!,
      position: {
        topic: this.#topicNames[this.#topics[row]!]!,
        partition: this.#partitions[row]!,
        offset: this.#offsets[row]!,
      },
    }
  }

  /** Empty again, in the same columns. */
  clear(): this {
    this.size = 0
    this.#places.fill(0)
    this.#topicNames.length = 0
    return this
  }

  /** Where its row number stands, or would. */
  #placeOf(id: Uint8Array): number {
    const places = this.#places
    const mask = places.length - 1
    // Ids are random, or counted up at one of their ends.
    const mixed = Math.imul(wordAt(id, 0) ^ Math.imul(wordAt(id, 12), 0x5bd1e995), 0x1b873593)
    let place = (mixed ^ (mixed >>> 15)) & mask
    while (places[place] !== 0 && !this.#isAt(places[place]! - 1, id)) place = (place + 1) & mask
    return place
  }

  #isAt(row: number, id: Uint8Array): boolean {
    const ids = this.#ids
    const start = row * idLength
    for (let i = 0; i < idLength; i++) if (ids[start + i] !== id[i]) return false
    return true
  }

  #grow(): void {
    const room = (this.#room = Math.max(firstRoom, 2 * this.#room))
    this.#ids = grown(new Uint8Array(room * idLength), this.#ids)
    this.#fingerprints = grown(new Int32Array(room), this.#fingerprints)
    this.#partitions = grown(new Int32Array(room), this.#partitions)
    this.#offsets = grown(new Float64Array(room), this.#offsets)
    this.#topics = grown(new Uint32Array(room), this.#topics)
    this.#places = new Int32Array(2 * room)
    for (let row = 0; row < this.size; row++) {
      const id = this.#ids.subarray(row * idLength, (row + 1) * idLength)
      this.#places[this.#placeOf(id)] = row + 1
    }
  }
}

function grown<Column extends Uint8Array | Int32Array | Uint32Array | Float64Array>(
  column: Column,
  from: Column,
): Column {
  column.set(from)
  return column
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
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

  /** @param id a correlation id of ours */
  add(id: Buffer, fingerprint: number, position: RecordPosition): void {
    if (this.#capacity === 0) return
    if (this.#current.size >= this.#capacity) {
      const forgotten = this.#previous
      this.#previous = this.#current
      this.#current = forgotten.clear()
    }
    this.#current.add(id, fingerprint, position)
  }

  /** The reply that this request was answered with. @param id a correlation id, one character for each byte */
  find(id: string): ReplySeen | undefined {
    if (id.length !== idLength) return undefined
    const bytes = Buffer.from(id, 'latin1')
    return this.#current.find(bytes) ?? this.#previous.find(bytes)
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
