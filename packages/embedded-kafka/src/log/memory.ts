import { errorCodes } from '../wire/error-codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import type { TopicConfigs } from './topic-configs.ts'

/** This part of the memory, one eighth, is kept for topics that hold little while others hold much. */
const reservedShare = 8
/** A topic that holds less than this part of the reserve, one eighth of it, need not give way before all is full. */
const smallShare = 8
/** Largest segment while memory is short: what has no room for a large one goes on with small ones. */
const shortSegment = 64 * 1024

/** A partition as far as its memory goes. */
export interface Droppable {
  readonly segmentCount: number
  /** When its oldest segment was last appended to, ms since the epoch. */
  readonly oldestAppend: number
  dropOldestSegment(): void
}

export interface LogMemoryOptions {
  /** Memory that all logs together may hold, in bytes. */
  readonly maxBytes: number
  /** Lets go of whatever the topics' own retention allows to go. */
  retain(): void
  /** Told when records were dropped, before their topic's retention would have, because the memory was full. */
  onDropped(topic: string): void
  /** Told when a producer is refused because nothing of its topic may go. */
  onFull(topic: string): void
}

/**
 * The bound on the memory of all logs, and who gives way at it. Nothing is ever taken from a topic but by its own
 * retention or for its own records: a topic that grows costs no other topic a record.
 *
 * Near the bound a topic that grows lets go of its own oldest records, unless it says itself how much it keeps
 * (`retention.bytes` of its own, or no `delete` in cleanup.policy); what the other topics' retention allows to go, goes.
 * If there is no room then, the producer is refused with KAFKA_STORAGE_ERROR.
 */
export class LogMemory {
  readonly #options: LogMemoryOptions
  #used = 0

  constructor(options: LogMemoryOptions) {
    this.#options = options
  }

  /** Bytes that are held. */
  get used(): number {
    return this.#used
  }

  /** The part of the memory that one topic holds. */
  ofTopic(name: string, configs: TopicConfigs, partitions: readonly Droppable[]): TopicMemory {
    return new TopicMemory(this, this.#options, name, configs, partitions)
  }

  /** Counts bytes that are there already; a negative number gives back. */
  count(bytes: number): void {
    this.#used += bytes
  }
}

/** What one topic holds of the logs' memory. */
export class TopicMemory {
  readonly #all: LogMemory
  readonly #options: LogMemoryOptions
  readonly #name: string
  readonly #configs: TopicConfigs
  readonly #partitions: readonly Droppable[]
  #bytes = 0
  #textBytes = 0

  constructor(
    all: LogMemory,
    options: LogMemoryOptions,
    name: string,
    configs: TopicConfigs,
    partitions: readonly Droppable[],
  ) {
    this.#all = all
    this.#options = options
    this.#name = name
    this.#configs = configs
    this.#partitions = partitions
  }

  get bytes(): number {
    return this.#bytes
  }

  /**
   * Takes room for a new segment of `growing`, of `usual` bytes, or of fewer, but not below `least`, when memory runs
   * short. Older segments of the topic may go for it.
   *
   * @returns the bytes that were taken
   * @throws ProtocolError KAFKA_STORAGE_ERROR if there is no room
   */
  take(usual: number, least: number, growing: Droppable): number {
    const { maxBytes } = this.#options
    const reserve = maxBytes / reservedShare
    const isShort = this.#all.used + usual > maxBytes - reserve
    const bytes = isShort ? Math.max(least, Math.min(usual, shortSegment)) : usual
    const fits = (bound: number): boolean => this.#all.used + bytes <= bound
    if (!fits(maxBytes - reserve) && this.#bytes + bytes > reserve / smallShare) {
      while (!fits(maxBytes - reserve) && this.#dropOldest(growing)) continue
    }
    if (!fits(maxBytes)) this.#options.retain()
    while (!fits(maxBytes) && this.#dropOldest(growing)) continue
    if (!fits(maxBytes)) this.#refuse()
    this.count(bytes)
    return bytes
  }

  /**
   * Takes room for the topic's configs, instead of what it had for them.
   * @throws ProtocolError KAFKA_STORAGE_ERROR if there is none
   */
  takeTexts(bytes: number): void {
    const more = bytes - this.#textBytes
    if (more > 0 && this.#all.used + more > this.#options.maxBytes) this.#refuse()
    this.#textBytes = bytes
    this.count(more)
  }

  /** Counts bytes that are there already; a negative number gives back. */
  count(bytes: number): void {
    this.#bytes += bytes
    this.#all.count(bytes)
  }

  #refuse(): never {
    this.#options.onFull(this.#name)
    throw new ProtocolError(
      errorCodes.KAFKA_STORAGE_ERROR,
      `the logs hold ${this.#all.used} bytes, maxLogBytes is ${this.#options.maxBytes}, and nothing of ` +
        `${this.#name} may go`,
    )
  }

  /** Drops the topic's oldest segment, but none that another partition is still appending to. */
  #dropOldest(growing: Droppable): boolean {
    if (!this.#configs.deletes || this.#configs.has('retention.bytes') || this.#configs.retentionBytes < 0)
      return false
    let oldest: Droppable | undefined
    for (const partition of this.#partitions) {
      // The partition that asks is done with its last segment: it is to have a new one.
      if (partition.segmentCount <= (partition === growing ? 0 : 1)) continue
      if (oldest === undefined || partition.oldestAppend < oldest.oldestAppend) oldest = partition
    }
    if (oldest === undefined) return false
    oldest.dropOldestSegment()
    this.#options.onDropped(this.#name)
    return true
  }
}
