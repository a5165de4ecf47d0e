/**
 * What a commit says of the records above its offset: which of them are finished, so that whoever has the partition next
 * passes over them. It stands in the commit's metadata, the free text that Kafka keeps beside a committed offset
 * (OffsetCommit, `CommittedMetadata`; the brokers take 4 096 characters of it, `offset.metadata.max.bytes`):
 *
 *     milena1:<offset><timestamp><unfinished><finished><unfinished><finished>…
 *
 * Whole numbers in base 64, five bits a character, the lowest first, the sixth bit set where more follow (as in source
 * maps): the committed offset; one more than the timestamp of the record that stands there, 0 where that is not known;
 * then how many offsets from there on are unfinished, and how many behind them finished, in turn; only the first of these
 * may be 0. What lies beyond is unfinished.
 */
import type { IncomingRecord, CommittedOffset, UnreadableRange } from '../transport/transport.ts'
import type { OffsetTracker, Tracked } from './offset-tracker.ts'

const version = 'milena1:'
/** The most characters, each of one byte, that are made and read. */
export const longestMetadata = 4_096

const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const values: ReadonlyMap<string, number> = new Map(Array.from(digits).map((digit, value) => [digit, value]))

export interface FinishedMetadata {
  /** Empty when there is nothing to say, or nothing that is certain. */
  readonly metadata: string
  /** Of the records that were read, how many a commit of `next` with this covers. */
  readonly covered: number
}

/**
 * @param former what the former owner has told of what was not read yet
 * @param timestampOf the timestamp of an unfinished record; `undefined` of what is none
 * @param longest how many characters it may have; where it does not fit, what is finished furthest ahead is left out
 */
export function describeFinished<Item extends Tracked<Item>>(
  tracker: OffsetTracker<Item>,
  former: FinishedAhead | undefined,
  timestampOf: (item: Item) => number | undefined,
  longest: number = longestMetadata,
): FinishedMetadata {
  const { first, finished, end, next: start, passed, ordered } = tracker
  const rest = former?.after(end) ?? []
  if (start === undefined || !ordered || (finished === passed && rest.length === 0)) {
    return { metadata: '', covered: passed }
  }
  const timestamp = (first === undefined ? undefined : timestampOf(first)) ?? -1
  const head = version + encode(start) + encode(isCount(timestamp) ? timestamp + 1 : 0)
  let text = head
  let [covered, told] = [passed, start]
  const tell = (from: number, to: number): boolean => {
    const runs = encode(from - told) + encode(to - from)
    if (text.length + runs.length > longest) return false
    text += runs
    told = to
    return true
  }
  const done = (): FinishedMetadata => ({ metadata: text === head ? '' : text, covered })
  let unfinished = 0
  for (let item = first; item !== undefined && covered < finished; item = item.following) {
    unfinished++
    const { following, next }: Item = item
    const before = following === undefined ? finished : following.index - unfinished
    // Where no record was finished between the two, a gap in the offsets is of no interest.
    if (before === covered) continue
    let to = following?.offset ?? end
    if (following === undefined && rest[0]?.from === end) to = rest.shift()!.to
    if (!tell(next, to)) return done()
    covered = before
  }
  for (const { from, to } of rest) if (!tell(from, to)) break
  return done()
}

/**
 * The finished records that a partition's former owner has told of, for as long as there are any ahead. Asked about what
 * is read, in order.
 */
export class FinishedAhead {
  readonly #timestamp: number | undefined
  /** Where each unfinished stretch and each finished one behind it ends, in turn. */
  readonly #ends: readonly number[]
  readonly #start: number
  #at = 0
  /** The offset behind what was asked about last. */
  #asked: number | undefined
  #over = false

  private constructor(start: number, timestamp: number | undefined, ends: readonly number[]) {
    this.#start = start
    this.#timestamp = timestamp
    this.#ends = ends
  }

  /** `undefined` for metadata that is not ours: another client's, another version's, or damaged. */
  static read({ offset, metadata }: CommittedOffset): FinishedAhead | undefined {
    if (!metadata.startsWith(version) || metadata.length > longestMetadata) return undefined
    const numbers = decode(metadata.slice(version.length))
    if (numbers === undefined || numbers.length < 4 || numbers.length % 2 !== 0) return undefined
    const [start, stamp, ...runs] = numbers
    if (start !== offset) return undefined
    const ends: number[] = []
    let end = offset
    for (const run of runs) {
      end += run
      if ((run === 0 && ends.length > 0) || !isCount(end)) return undefined
      ends.push(end)
    }
    return new FinishedAhead(offset, stamp === 0 ? undefined : stamp! - 1, ends)
  }

  /** Nothing more is known: what it told of lies behind, or is not about this log. */
  get over(): boolean {
    return this.#over
  }

  /** Whether the record is finished. Where another one stands at the committed offset, this is another log. */
  hasRecord({ offset, timestamp }: IncomingRecord): boolean {
    if (this.#asked === undefined && this.#timestamp !== undefined) {
      if (offset !== this.#start || timestamp !== this.#timestamp) this.#over = true
    }
    return this.#has(offset, offset + 1)
  }

  /** Whether all of a stretch without records is finished. */
  hasStretch({ offset, next }: UnreadableRange): boolean {
    if (this.#asked === undefined && this.#timestamp !== undefined) this.#over = true
    return this.#has(offset, next)
  }

  /** What is finished of that which was not asked about, from an offset on. */
  after(offset: number): { readonly from: number; readonly to: number }[] {
    if (this.#over || this.#asked === undefined) return []
    return this.#ends.flatMap((to, at) =>
      at % 2 === 1 && to > offset ? [{ from: Math.max(this.#ends[at - 1]!, offset), to }] : [],
    )
  }

  #has(from: number, to: number): boolean {
    // Offsets that were there already: the log is another one, or was cut off.
    if (from < (this.#asked ?? this.#start)) this.#over = true
    if (this.#over) return false
    this.#asked = to
    while (this.#at < this.#ends.length && from >= this.#ends[this.#at]!) this.#at++
    const finished = this.#at % 2 === 1 && to <= this.#ends[this.#at]!
    if (to >= this.#ends.at(-1)!) this.#over = true
    return finished
  }
}

function isCount(number: number): boolean {
  return Number.isSafeInteger(number) && number >= 0
}

function encode(number: number): string {
  let text = ''
  let rest = number
  for (; rest >= 32; rest = Math.floor(rest / 32)) text += digits[32 + (rest % 32)]
  return text + digits[rest]
}

function decode(text: string): number[] | undefined {
  const numbers: number[] = []
  let number = 0
  let factor = 1
  for (const digit of text) {
    const value = values.get(digit)
    if (value === undefined) return undefined
    number += (value % 32) * factor
    if (!isCount(number)) return undefined
    if (value >= 32) {
      factor *= 32
      if (!isCount(factor)) return undefined
      continue
    }
    numbers.push(number)
    number = 0
    factor = 1
  }
  return factor === 1 ? numbers : undefined
}
