import type { BatchHeader } from '../records/batch.ts'
import { errorCodes } from '../wire/error-codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'

const keptBatches = 5
/** What a producer takes: its five batches, and its place in the map. */
const producerBytes = 512
const maxSequence = 2_147_483_647

export interface AppendedBatch {
  readonly firstSequence: number
  readonly lastSequence: number
  readonly baseOffset: number
  /** Log append time of the batch in ms, or -1 if the topic keeps the producer's times. */
  readonly appendTime: number
}

interface ProducerState {
  epoch: number
  /** The last batches of this epoch, oldest first; never empty. */
  batches: AppendedBatch[]
  seenAt: number
}

/** Counts the bytes that are taken; a negative number gives back. */
export interface ProducerMemory {
  count(bytes: number): void
}

/**
 * What one partition remembers of its idempotent producers: epoch, and the last five batches of each, as many as a
 * producer may have in flight. A batch that is there already is answered with the offset that it got (KIP-98). Beyond
 * `maxProducers` the one that was unused for the longest is forgotten.
 */
export class Producers {
  readonly #byId = new Map<number, ProducerState>()
  readonly #memory: ProducerMemory
  readonly #maxProducers: number

  constructor(memory: ProducerMemory, maxProducers = 10_000) {
    this.#memory = memory
    this.#maxProducers = maxProducers
  }

  get size(): number {
    return this.#byId.size
  }

  /**
   * Checks a batch against what is known of its producer.
   *
   * @returns the batch as it was appended before, if this is a repetition; undefined if it is to be appended
   * @throws ProtocolError INVALID_PRODUCER_EPOCH (an older epoch: the producer was fenced) or
   *   OUT_OF_ORDER_SEQUENCE_NUMBER. A producer that is not known may begin at any number, as in Apache Kafka.
   */
  check(batch: BatchHeader): AppendedBatch | undefined {
    const state = this.#byId.get(batch.producerId)
    if (state === undefined) return undefined
    if (batch.producerEpoch < state.epoch) {
      throw new ProtocolError(
        errorCodes.INVALID_PRODUCER_EPOCH,
        `producer ${batch.producerId} has epoch ${state.epoch} by now, the batch has ${batch.producerEpoch}`,
      )
    }
    if (batch.producerEpoch > state.epoch) {
      if (batch.baseSequence === 0) return undefined
      throw outOfOrder(batch, 0)
    }
    const lastSequence = sequenceAfter(batch.baseSequence, batch.lastOffsetDelta)
    const repeated = state.batches.find(
      (known) => known.firstSequence === batch.baseSequence && known.lastSequence === lastSequence,
    )
    if (repeated !== undefined) return repeated
    const expected = sequenceAfter(state.batches.at(-1)!.lastSequence, 1)
    if (batch.baseSequence !== expected) throw outOfOrder(batch, expected)
    return undefined
  }

  /** Remembers a batch that passed the check and was appended. */
  appended(batch: BatchHeader, baseOffset: number, appendTime: number, now: number): void {
    const kept: AppendedBatch = {
      firstSequence: batch.baseSequence,
      lastSequence: sequenceAfter(batch.baseSequence, batch.lastOffsetDelta),
      baseOffset,
      appendTime,
    }
    const state = this.#byId.get(batch.producerId)
    if (state === undefined) {
      const longestUnused = this.#byId.keys().next()
      if (this.#byId.size >= this.#maxProducers && !longestUnused.done) this.#forget(longestUnused.value)
      this.#byId.set(batch.producerId, { epoch: batch.producerEpoch, batches: [kept], seenAt: now })
      this.#memory.count(producerBytes)
      return
    }
    // At the end again: the map's first is the one that was unused for the longest.
    this.#byId.delete(batch.producerId)
    this.#byId.set(batch.producerId, state)
    state.seenAt = now
    if (state.epoch !== batch.producerEpoch) {
      state.epoch = batch.producerEpoch
      state.batches = [kept]
      return
    }
    state.batches.push(kept)
    if (state.batches.length > keptBatches) state.batches.shift()
  }

  /** Forgets producers that were not seen since `time`. */
  expire(time: number): void {
    for (const [id, state] of this.#byId) if (state.seenAt < time) this.#forget(id)
  }

  clear(): void {
    for (const id of this.#byId.keys()) this.#forget(id)
  }

  #forget(id: number): void {
    this.#byId.delete(id)
    this.#memory.count(-producerBytes)
  }
}

/** Sequence numbers start over at 0 after 2^31 - 1. */
function sequenceAfter(sequence: number, steps: number): number {
  const sum = sequence + steps
  return sum > maxSequence ? sum - maxSequence - 1 : sum
}

function outOfOrder(batch: BatchHeader, expected: number): ProtocolError {
  return new ProtocolError(
    errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER,
    `producer ${batch.producerId} sent sequence number ${batch.baseSequence}, expected ${expected}`,
  )
}
