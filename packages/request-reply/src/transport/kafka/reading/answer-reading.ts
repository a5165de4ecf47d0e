/**
 * What a fetch has brought of one partition, handed over in order.
 *
 * What cannot be read stops nothing for good. A batch that is as it was written (its CRC-32C says so), but cannot be
 * decoded or would take too much memory, is passed over at once. One that does not match its CRC-32C is fetched three
 * times more, since it may have been damaged on the way; then it is passed over, too. Where its length is wrong, so
 * that nobody can say where the next one begins, reading goes on behind the offsets that its head names, or else one
 * offset further, and so on to the first that can be read. A broker's own refusal (CORRUPT_MESSAGE) passes over nothing:
 * the next leader may have the records whole.
 */
import { TransportError } from '../../../errors.ts'
import { errorOf } from '../../../words.ts'
import type { IncomingRecord, UnreadableRange } from '../../transport.ts'
import type { FetchedPartition } from './fetch-api.ts'
import type { FetchedTogether, ReadPartition } from './broker-fetcher.ts'
import type { ReadingTroubles } from './reading-troubles.ts'
import { RecordBatches, type Obstacle } from '../batches/record-batches.ts'

/** Milliseconds after which a partition that was refused, or is damaged, is tried again. */
export const REFUSED_PAUSE: number = 1_000
/** How often a batch that is damaged is fetched again before it is passed over. */
const DAMAGE_TRIES = 3
/** Milliseconds until the next fetch where the end of what was passed over is not known. */
const BLIND_PAUSE = 100

export interface AnswerListener {
  /** As `ReadingListener.onRecords`. */
  readonly onRecords: (records: readonly IncomingRecord[], appendedAfter: number | undefined) => void
  /** A stretch that is passed over, in order with `onRecords`; it is told as an error as well. */
  readonly onUnreadable?: ((range: UnreadableRange) => void) | undefined
}

export class AnswerReading {
  readonly #listener: AnswerListener
  readonly #troubles: ReadingTroubles
  readonly #tell: (error: Error) => void

  constructor(listener: AnswerListener, troubles: ReadingTroubles, tell: (error: Error) => void) {
    this.#listener = listener
    this.#troubles = troubles
    this.#tell = tell
  }

  /** Hands over what was fetched. False: not all of it was read; what is left is fetched again. */
  read(
    partition: ReadPartition,
    data: Buffer,
    { aborted, highWatermark }: FetchedPartition,
    { memory, isFirst }: FetchedTogether,
  ): boolean {
    const { topic, partition: number, position } = partition
    const source = { topic, partition: number, position, aborted, firstIsWhole: isFirst }
    const batches = new RecordBatches(data, source, memory)
    /** Not told yet: what follows at once, and cannot be read for the same reason, belongs to it. */
    let passed: UnreadableRange | undefined
    for (;;) {
      const { records, next, obstacle } = batches.read()
      const heals = obstacle?.certain === false && this.#mayHeal(partition, obstacle, highWatermark)
      const belongs = records.length === 0 && !heals && obstacle?.range.reason === passed?.reason
      if (passed !== undefined && !belongs) {
        this.#passOver(passed)
        passed = undefined
      }
      if (partition.removed) return false
      partition.position = next
      follow(partition, batches.term)
      if (records.length > 0) this.#handOver(partition, records)
      if (partition.removed || heals) return false
      if (obstacle === undefined) return !batches.full
      passed = passed === undefined ? obstacle.range : joined(passed, obstacle.range)
      partition.position = passed.next
      if (batches.pass(obstacle)) continue
      this.#passOver(passed)
      partition.notBefore = performance.now() + BLIND_PAUSE
      return !partition.removed
    }
  }

  /** What is known to have come after a time is handed over by itself, with that time. */
  #handOver(partition: ReadPartition, records: readonly IncomingRecord[]): void {
    const { knownEnd, knownEndAt } = partition
    if (records[0]!.offset >= knownEnd) return this.#give(records, knownEndAt)
    if (records.at(-1)!.offset < knownEnd) return this.#give(records, undefined)
    const first = records.findIndex(({ offset }) => offset >= knownEnd)
    this.#give(records.slice(0, first), undefined)
    if (!partition.removed) this.#give(records.slice(first), knownEndAt)
  }

  #give(records: readonly IncomingRecord[], appendedAfter: number | undefined): void {
    try {
      this.#listener.onRecords(records, appendedAfter)
    } catch (error) {
      // A mistake of the application's must not leave the reading half done.
      this.#tell(errorOf(error))
    }
  }

  /** Whether the damage may be the way's, or is followed by nothing yet: then it is fetched again. */
  #mayHeal(partition: ReadPartition, { range, behind }: Obstacle, highWatermark: number): boolean {
    const { offset, next, reason } = range
    const seen = partition.damage?.offset === offset ? partition.damage.seen + 1 : 1
    if (seen > DAMAGE_TRIES && (behind !== undefined || next <= highWatermark)) {
      // Without its end in sight, what follows is the same batch still: that it does not heal is known.
      partition.damage = behind === undefined ? { offset: next, seen: DAMAGE_TRIES } : undefined
      return false
    }
    partition.damage = { offset, seen }
    partition.notBefore = performance.now() + REFUSED_PAUSE
    const text = `reading topic ${partition.topic}, partition ${partition.partition}, offset ${offset}: ${reason}`
    // Told when it is passed over.
    this.#troubles.begin(partition, new TransportError('MILENA_BROKER_ERROR', text), 'unreadable', false)
    return true
  }

  #passOver(range: UnreadableRange): void {
    const { topic, partition, offset, next, bytes, reason } = range
    const what = next === offset + 1 ? `offset ${offset}` : `offsets ${offset} to ${next - 1}`
    const text = `reading topic ${topic}, partition ${partition}: ${what} (${bytes} bytes) cannot be read`
    this.#tell(new TransportError('MILENA_BROKER_ERROR', `${text} and passed over: ${reason}`))
    try {
      this.#listener.onUnreadable?.(range)
    } catch (error) {
      this.#tell(errorOf(error))
    }
  }
}

/** Remembers the term of what was read last, and where it began. */
function follow(partition: ReadPartition, term: RecordBatches['term']): void {
  if (!partition.followsEpochs || term === undefined || term.epoch === partition.lastEpoch) return
  partition.lastEpoch = term.epoch
  partition.lastEpochFrom = term.from
}

/** Two stretches, one behind the other, that cannot be read for the same reason. */
function joined(one: UnreadableRange, next: UnreadableRange): UnreadableRange {
  return { ...one, next: next.next, bytes: one.bytes + next.bytes }
}
