/**
 * Where logs end, as far as that is certain, and since when: what stands behind such an end came later.
 *
 * A leader that has just been elected may not know yet how far the log is committed, and answers fetches with an end that
 * lies before records that were acknowledged. ListOffsets does not (KIP-207): once it has answered in a leader's term,
 * that leader's high watermarks are true for the rest of the term. So each term is asked for its end once, and what its
 * fetches say of the end counts from then on.
 *
 * What was found in a former term counts no more in the next one: a leader that was deposed and does not know it yet goes
 * on naming its end, while its successor acknowledges records behind that.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FetchedPartition } from './fetch-api.ts'
import type { ReadPartition } from './broker-fetcher.ts'
import { askOffsets, type OffsetsSource } from './offsets.ts'

/** Milliseconds until a leader that did not say is asked again. */
const TERM_PAUSE = 500
const CATCH_UP_PAUSE = 50

export class LogEnds {
  readonly #source: OffsetsSource
  readonly #partitions: ReadonlySet<ReadPartition>
  readonly #onKnown: () => void
  readonly #waiting: (() => void)[] = []
  #asking = false

  /** @param onKnown partitions may be fetched that have waited for their ends */
  constructor(source: OffsetsSource, partitions: ReadonlySet<ReadPartition>, onKnown: () => void) {
    this.#source = source
    this.#onKnown = onKnown
    this.#partitions = partitions
    source.signal.addEventListener('abort', () => this.moved(), { once: true })
  }

  /** Some partition may have another leader, or its leader another term. */
  changed(): void {
    for (const one of this.#partitions) {
      if (one.leader !== -1 && one.certainTerm !== one.epoch) one.knownEnd = Infinity
    }
    if (!this.#asking) void this.#askTerms()
  }

  /**
   * A fetch that was sent at `sentAt` was answered, and what it brought was handed over: whatever stands from its high
   * watermark on was appended after `sentAt`.
   */
  answered(one: ReadPartition, { highWatermark }: FetchedPartition, sentAt: number): void {
    if (one.certainTerm !== one.epoch) return
    one.knownEnd = highWatermark
    one.knownEndAt = sentAt
  }

  /** Positions have moved. */
  moved(): void {
    if (this.#waiting.length > 0) for (const goOn of this.#waiting.splice(0)) goOn()
  }

  /**
   * Resolves when everything that stood in the partitions at the time of the call was handed over, however long that
   * takes; or the reading has ended.
   */
  async caughtUp(): Promise<void> {
    const { signal } = this.#source
    const ends = new Map<ReadPartition, { readonly offset: number; readonly resets: number }>()
    const mine = [...this.#partitions]
    while (!signal.aborted) {
      const open = mine.filter((one) => {
        const end = ends.get(one)
        return !one.removed && !(end?.resets === one.resets && one.position >= end.offset)
      })
      if (open.length === 0) return
      // What was read from another place since, or is another topic now, has another end.
      const unknown = open.filter((one) => ends.get(one)?.resets !== one.resets)
      if (unknown.length === 0) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve))
        continue
      }
      const resets = unknown.map((one) => one.resets)
      const found = await askOffsets(this.#source, unknown, 'latest', 'committed')
      for (const [index, one] of unknown.entries()) {
        const offset = found.get(one)
        if (offset !== undefined) ends.set(one, { offset, resets: resets[index]! })
      }
      if (found.size < unknown.length) await this.#pause(CATCH_UP_PAUSE)
    }
  }

  async #askTerms(): Promise<void> {
    this.#asking = true
    const { signal } = this.#source
    while (!signal.aborted) {
      const open = [...this.#partitions].filter((one) => one.leader !== -1 && one.certainTerm !== one.epoch)
      if (open.length === 0) break
      const terms = open.map((one) => one.epoch)
      const askedAt = performance.now()
      const found = await askOffsets(this.#source, open, 'latest', 'uncommitted')
      for (const [index, one] of open.entries()) {
        const end = found.get(one)
        if (end === undefined || one.epoch !== terms[index]) continue
        one.certainTerm = one.epoch
        one.knownEnd = end
        one.knownEndAt = askedAt
        // Not what waits for where to go on.
        if (one.awaitsEnd && one.notBefore !== Infinity) one.notBefore = 0
        one.awaitsEnd = false
      }
      this.#onKnown()
      if (found.size < open.length) await this.#pause(TERM_PAUSE)
    }
    this.#asking = false
  }

  async #pause(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.#source.signal }).catch(() => undefined)
  }
}
