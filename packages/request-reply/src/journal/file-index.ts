/** Where each unfinished entry stands in a file journal's segments. Of an entry it has its id and its place in memory. */
import type { JournalEntry, JournalHead } from './journal.ts'
import {
  bodyOf,
  decodeEntry,
  encodeFinished,
  entryKind,
  finishedKind,
  keptUntil,
  readRecords,
} from './file-records.ts'
import { readSegment, type Segment } from './file-segments.ts'
import { open } from 'node:fs/promises'
import { isMissing } from './file-owner.ts'

interface Place {
  segment: Segment
  offset: number
  length: number
  keptUntil: number | undefined
}

export interface LiveRecord {
  readonly id: string
  readonly record: Buffer
  /** Else it says until when the entry is kept. */
  readonly isEntry: boolean
}

export class FileIndex {
  readonly #segments: Segment[]
  readonly #places = new Map<string, Place>()
  readonly #now: number
  readonly #warn: (error: Error) => void
  /** What was there at the start. */
  readonly #before: readonly Segment[]
  #liveBytes = 0
  readonly #kept: { readonly id: string; readonly place: Place }[] = []

  /** @param now what is not kept for longer than this is finished */
  constructor(segments: Segment[], now: number, warn: (error: Error) => void) {
    this.#segments = segments
    this.#before = [...segments]
    this.#now = now
    this.#warn = warn
  }

  get oldest(): Segment | undefined {
    return this.#segments[0]
  }

  /** Reads all segments, one after the other. */
  async read(): Promise<void> {
    for (const segment of this.#segments) {
      const bytes = await readSegment(segment)
      let end = 0
      for (const { kind, id, body, offset, length } of readRecords(bytes)) {
        end = offset + length
        if (kind === entryKind) this.add(id, segment, offset, length)
        else this.finish(id, kind === finishedKind ? undefined : keptUntil(body))
      }
      if (end < bytes.length)
        this.#warn(
          new Error(
            `${segment.file}: from byte ${end} on it is no record: ${bytes.length - end} bytes are cut off, ` +
              'which a kill, a full disk or a power cut leaves behind',
          ),
        )
      segment.bytes = end
    }
    for (const [id, { keptUntil }] of this.#places)
      if (keptUntil !== undefined && keptUntil <= this.#now) this.finish(id, undefined)
  }

  /** A new segment, the youngest. */
  begin(file: string): Segment {
    const segment = { file, bytes: 0, live: 0 }
    this.#segments.push(segment)
    return segment
  }

  add(id: string, segment: Segment, offset: number, length: number): void {
    const before = this.#places.get(id)
    if (before !== undefined) this.#remove(id, before)
    this.#places.set(id, { segment, offset, length, keptUntil: before?.keptUntil })
    segment.live++
    this.#liveBytes += length
  }

  finish(id: string, keepUntil: number | undefined): void {
    const place = this.#places.get(id)
    if (place === undefined) return
    if (keepUntil === undefined) this.#remove(id, place)
    else {
      place.keptUntil = keepUntil
      this.#kept.push({ id, place })
    }
  }

  /** Finishes what need not be kept any more; in the order in which it was told, since all are kept equally long. */
  expire(now: number): void {
    let ended = 0
    for (const { id, place } of this.#kept) {
      if (place.keptUntil! > now) break
      if (this.#places.get(id)?.keptUntil === place.keptUntil) this.#remove(id, this.#places.get(id)!)
      ended++
    }
    if (ended > 0) this.#kept.splice(0, ended)
  }

  async *heads(): AsyncIterable<readonly JournalHead[]> {
    for (const segment of this.#before) {
      if (segment.live === 0) continue
      const heads: JournalHead[] = []
      for (const { id, body, offset } of readRecords(await readSegment(segment))) {
        const place = this.#places.get(id)
        if (place?.segment !== segment || place.offset !== offset) continue
        const { correlationId, deadline, repliesFrom } = decodeEntry(body)
        heads.push({
          correlationId: Buffer.from(correlationId),
          deadline,
          repliesFrom,
          keptUntil: place.keptUntil,
        })
      }
      yield heads
    }
  }

  async entries(correlationIds: readonly Buffer[]): Promise<readonly JournalEntry[]> {
    for (;;) {
      try {
        return await this.#entries(correlationIds)
      } catch (error) {
        // They have moved on meanwhile: then they stand somewhere else now.
        if (
          !isMissing(error) ||
          this.#segments.some(({ file }) => file === (error as { path?: unknown }).path)
        )
          throw error
      }
    }
  }

  async #entries(correlationIds: readonly Buffer[]): Promise<readonly JournalEntry[]> {
    const places = correlationIds.flatMap((id) => this.#places.get(id.toString('latin1')) ?? [])
    const bySegment = Map.groupBy(places, ({ segment }) => segment)
    const entries: JournalEntry[] = []
    for (const [segment, wanted] of bySegment) {
      for (const record of await readPlaces(segment, wanted)) entries.push(decodeEntry(bodyOf(record)))
    }
    return entries
  }

  /** Whether files take so many bytes more than a multiple of what is unfinished in them. */
  isMostlyFinished(least: number): boolean {
    const bytes = this.#segments.reduce((sum, segment) => sum + segment.bytes, 0)
    return bytes > least && bytes > 4 * this.#liveBytes
  }

  /** What of this segment is to be kept. */
  async liveRecordsOf(segment: Segment): Promise<readonly LiveRecord[]> {
    const places = [...this.#places].filter(([, place]) => place.segment === segment)
    const records = await readPlaces(
      segment,
      places.map(([, place]) => place),
    )
    return places.flatMap(([id, { keptUntil }], at) => {
      const entry = { id, record: records[at]!, isEntry: true }
      if (keptUntil === undefined) return [entry]
      return [entry, { id, record: encodeFinished(Buffer.from(id, 'latin1'), keptUntil), isEntry: false }]
    })
  }

  drop(segment: Segment): void {
    this.#segments.splice(this.#segments.indexOf(segment), 1)
  }

  #remove(id: string, { segment, length }: Place): void {
    this.#places.delete(id)
    segment.live--
    this.#liveBytes -= length
  }
}

/** In the order of the places. */
async function readPlaces(segment: Segment, places: readonly Place[]): Promise<readonly Buffer[]> {
  const handle = await open(segment.file, 'r')
  try {
    const records: Buffer[] = []
    for (const { offset, length } of places) {
      const record = Buffer.alloc(length)
      await handle.read(record, 0, length, offset)
      records.push(record)
    }
    return records
  } finally {
    await handle.close()
  }
}
