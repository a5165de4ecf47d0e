/**
 * The records of one partition on their way: a queue, and at most one batch that the brokers may have.
 *
 * Order, and no record twice, rest on Kafka's idempotent producer (KIP-98): the broker knows, per partition and
 * producer id, the epoch and the last sequence numbers, and answers a batch that it has with the offset it gave it.
 *
 *              next()                answered: appended
 *     queue ───────────▶ in flight ────────────────────────▶ done
 *       ▲                 │  ▲  │
 *       │ refused, never  │  │  │ no answer, or one that leaves it open
 *       │ in doubt        │  │  ▼
 *       └─────────────────┘  in doubt ── every deadline passed ──▶ given up: next epoch
 *                            next(): the same bytes again
 *
 * Rules, and the sequence of events that each is for:
 *
 * 1. A batch in doubt is repeated byte for byte, under the same producer id, epoch and sequence, or not at all.
 *    Events: the leader appends, its answer is lost with the connection; the repetition finds the sequence taken and
 *    is answered with the first offset. Split, grown or renumbered, it would be appended a second time.
 * 2. NOT_LEADER_OR_FOLLOWER and the like leave a batch in doubt. Events: the leader appends, waits for followers, is
 *    deposed, and answers so; a follower that had fetched the records becomes leader with them.
 * 3. After a batch in doubt is given up the next one goes under the next epoch, from sequence 0. Events: the given-up
 *    batch lies in the socket of a hung broker; we send the next one elsewhere; the broker wakes and reads the old one.
 *    With the epoch raised the old one is fenced. With the sequence simply continued, the next one would be refused as
 *    out of order if the old one was lost, and silently taken for it (same numbers, other records) if numbers were reused.
 * 4. OUT_OF_ORDER_SEQUENCE_NUMBER, UNKNOWN_PRODUCER_ID and INVALID_PRODUCER_EPOCH say that the log has lost what came
 *    before, or the broker its memory of us. A batch that was never in doubt is certainly not in the log: it goes
 *    again under a new identity, before everything that came later. One in doubt may have been appended before the
 *    broker lost its memory, so a new identity could append it twice: it ends as unknown.
 * 5. Sequence numbers end at 2^31 − 1; before that the next epoch begins, so that no batch straddles the end.
 * 6. What is forgotten (a topic not used for long) hands its epoch over to `Producers`: who starts again from sequence
 *    0 must do it in a higher epoch, or its first batches would be taken for repetitions of old ones.
 */
import type { ErrorDetails, TransportError } from '../../../errors.ts'
import type { OutgoingRecord } from '../../transport.ts'
import type { BatchMemory } from './batch-memory.ts'
import { batchHeadSize, bodySize, encodeBatch } from './batch-encoding.ts'
import type { Denied } from '../cluster/denials.ts'
import type { Held, HeldBatch } from './held.ts'
import { refusal } from '../cluster/kafka-errors.ts'
import { errorName, isRetriable, kafka } from '../protocol/error-codes.ts'
import type { Compression } from '../options.ts'
import type { PartitionBatch, PartitionResult } from './produce.ts'
import type { Producers } from './producers.ts'
import { RecordQueue, type PendingRecord } from './record-queue.ts'
import { notEncoded, notSent, takenBack, tooLarge, unknownFacts, unknownOutcome } from './send-errors.ts'

/** Sequence numbers are 31 bits wide. */
const SEQUENCES = 2 ** 31

/** A batch as it goes out, with its records. */
export interface OutgoingBatch extends PartitionBatch, HeldBatch {
  /** None once they were put back into the queue. */
  records: readonly PendingRecord[]
  readonly producerId: bigint
  readonly epoch: number
  readonly sequence: number
}

export interface QueueSettings {
  readonly compression: Compression
  /** Most bytes of a batch before compression. */
  readonly batchSize: number
  /** Where sequence numbers begin; for tests, since a log takes any number from a producer that is new to it. Default 0. */
  readonly firstSequence?: number
}

/** What all queues of a sender have in common. */
export interface QueueSurroundings {
  readonly settings: QueueSettings
  readonly producers: Producers
  readonly memory: BatchMemory
  readonly held: Held
}

/** What is to be done after an answer: nothing, or look for the leader and go on. */
export type AfterAnswer = 'done' | 'look again'

export class PartitionQueue implements Denied {
  readonly topic: string
  readonly partition: number
  /** When the oldest record in the queue came, in `performance.now()` milliseconds; of use to linger. */
  queuedSince = 0
  denials: Denied['denials']
  readonly #settings: QueueSettings
  readonly #producers: Producers
  readonly #memory: BatchMemory
  readonly #held: Held
  readonly #queue: RecordQueue
  #batch: OutgoingBatch | undefined
  #flying = false
  /** The batch may only be repeated, byte for byte. */
  #doubt = false
  /** Records of the batch may be in the log: said of them when they are given up. */
  #written = false
  #producerId: bigint | undefined
  #epoch = 0
  #sequence = 0
  /** How many records at the head of the queue were together in a batch that was too large. */
  #suspects = 0
  /** Most records in the next batch. */
  #limit = Infinity
  #problem: unknown
  #slow = false

  constructor(topic: string, partition: number, surroundings: QueueSurroundings) {
    this.topic = topic
    this.partition = partition
    this.#settings = surroundings.settings
    this.#producers = surroundings.producers
    this.#memory = surroundings.memory
    this.#held = surroundings.held
    this.#queue = new RecordQueue(surroundings.held)
  }

  /** Bytes that wait, without the batch. */
  get queuedBytes(): number {
    return this.#queue.bytes
  }

  /** Something that `next()` would hand out. */
  get hasWork(): boolean {
    return !this.#flying && this.pending
  }

  /** Something that somebody waits for. */
  get pending(): boolean {
    return this.#batch !== undefined || !this.#queue.isEmpty
  }

  /** The batch is with a broker, or was written to one. */
  get flying(): boolean {
    return this.#flying
  }

  /** Its replicas kept the leader waiting for longer than others should wait for it; until they have its batch. */
  get slow(): boolean {
    return this.#slow
  }

  /** The next thing to send is a repetition. */
  get repeats(): boolean {
    return this.#batch !== undefined && !this.#flying
  }

  /** What went wrong last, for the error of a record that runs out of time. */
  noteProblem(problem: unknown): void {
    this.#problem = problem
  }

  add(record: PendingRecord, now: number): void {
    if (this.#queue.isEmpty) this.queuedSince = now
    this.#queue.add(record)
  }

  /** Takes a record back that waits; those of the batch, in flight or in doubt, are on their way. */
  withdraw(record: OutgoingRecord): boolean {
    return this.#queue.withdraw(record, () => takenBack(this.topic))
  }

  /** The batch to send now; it counts as in flight until `answered` or `unanswered`. `undefined` when there is none. */
  next(): OutgoingBatch | undefined {
    if (this.#flying) return undefined
    if (this.#batch === undefined) this.#batch = this.#form()
    this.#flying = this.#batch !== undefined
    return this.#batch
  }

  #form(): OutgoingBatch | undefined {
    for (;;) {
      const count = this.#queue.fitting(this.#limit, this.#settings.batchSize - batchHeadSize)
      if (count === 0) return undefined
      if (this.#sequence + count > SEQUENCES) this.#renew()
      if (this.#producerId === undefined) {
        const producer = this.#producers.current
        if (producer === undefined) return undefined
        this.#producerId = producer.id
        this.#epoch = producer.epoch
        this.#sequence = producer.epoch === 0 ? (this.#settings.firstSequence ?? 0) : 0
      }
      const identity = { producerId: this.#producerId, epoch: this.#epoch, sequence: this.#sequence }
      const records = this.#queue.take(count)
      this.queuedSince = performance.now()
      let bytes: Buffer
      try {
        bytes = encodeBatch(records, identity, this.#settings.compression, this.#memory)
      } catch (error) {
        this.#unencodable(records, error)
        continue
      }
      const { topic, partition } = this
      const batch: OutgoingBatch = { topic, partition, bytes, records, holders: 1, ...identity }
      this.#held.addBatch(batch)
      return batch
    }
  }

  /** The codec fails, or somebody has changed a record that was given: those that are to blame end, if it is known which. */
  #unencodable(records: readonly PendingRecord[], error: unknown): void {
    const sound = records.filter(isAsGiven)
    const guilty = sound.length === records.length ? records : records.filter((one) => !sound.includes(one))
    if (guilty !== records) this.#queue.putBack(sound)
    for (const one of guilty) this.#held.drop(one)
    this.#settle(guilty, notEncoded(this.#act, error))
  }

  /** No answer came, or one was not waited for: the batch is in doubt (rule 1). */
  unanswered(batch: OutgoingBatch, problem: unknown, written = true): void {
    if (this.#batch !== batch) return
    this.#problem = problem
    this.#flying = false
    this.#doubt = true
    this.#written ||= written
    this.#giveUpIfSettled()
  }

  /** The leader's answer to the batch. */
  answered(batch: OutgoingBatch, result: PartitionResult): AfterAnswer {
    if (this.#batch !== batch || !this.#flying) return 'done'
    this.#flying = false
    const code = result.errorCode
    switch (code) {
      case kafka.none:
      case kafka.duplicateSequenceNumber:
        return this.#appended(batch, code === kafka.none ? result.baseOffset : -1)
      case kafka.notEnoughReplicas:
      case kafka.corruptMessage:
        // Refused before anything was appended.
        this.#problem = problemOf(result)
        if (!this.#doubt) this.#putBack(batch)
        return 'look again'
      case kafka.outOfOrderSequenceNumber:
        return this.#disowned(batch, result, false)
      case kafka.unknownProducerId:
      case kafka.invalidProducerEpoch:
        return this.#disowned(batch, result, true)
      case kafka.messageTooLarge:
      case kafka.recordListTooLarge:
        return this.#tooLarge(batch, result)
      default:
    }
    if (isRetriable(code) || code === kafka.unknownServerError) {
      if (code === kafka.requestTimedOut) this.#slow = true
      // Rule 2. A broker that knows nothing of the topic and gave no offset has appended nothing.
      const unknownThere = code === kafka.unknownTopicOrPartition && result.baseOffset < 0
      this.unanswered(batch, problemOf(result), !unknownThere)
      return 'look again'
    }
    return this.#refused(batch, result)
  }

  #appended(batch: OutgoingBatch, baseOffset: number): AfterAnswer {
    // One that was ever in doubt may still be on its way to another broker, and must arrive as it was.
    if (!this.#doubt) this.#memory.giveBack(batch.bytes)
    this.#drop()
    this.#sequence = batch.sequence + batch.records.length
    this.#problem = undefined
    this.#slow = false
    if (this.#suspects > 0) this.#suspect(this.#suspects - batch.records.length)
    const { topic, partition } = this
    for (let i = 0; i < batch.records.length; i++) {
      const record = batch.records[i]!
      if (record.settled) continue
      record.settled = true
      // DUPLICATE_SEQUENCE_NUMBER: the log has it, the broker no longer knows where.
      record.resolve({ topic, partition, offset: baseOffset < 0 ? -1 : baseOffset + i })
    }
    return 'done'
  }

  /** Rule 4. */
  #disowned(batch: OutgoingBatch, result: PartitionResult, replace: boolean): AfterAnswer {
    this.#problem = problemOf(result)
    const doubt = this.#doubt
    if (doubt) this.#settle(batch.records, unknownOutcome(this.#act, this.#problem))
    else this.#putBack(batch)
    this.#drop()
    if (replace) this.#replace()
    else this.#renew()
    return doubt ? 'done' : 'look again'
  }

  /** The broker measures the batch: halve it until the guilty record stands alone. */
  #tooLarge(batch: OutgoingBatch, result: PartitionResult): AfterAnswer {
    if (this.#doubt || batch.records.length === 1) {
      const bytes = batch.bytes.length
      this.#suspect(0)
      return this.#reject(batch, (details) => tooLarge(this.#act, bytes, details), result)
    }
    this.#suspect(batch.records.length)
    this.#putBack(batch)
    return 'done'
  }

  #suspect(count: number): void {
    this.#suspects = Math.max(0, count)
    this.#limit = this.#suspects === 0 ? Infinity : Math.ceil(this.#suspects / 2)
  }

  /** Refused for good; where the broker says which records are to blame, the others go again. */
  #refused(batch: OutgoingBatch, result: PartitionResult): AfterAnswer {
    const guilty = new Set(this.#doubt ? [] : result.guilty)
    if (guilty.size === 0 || guilty.size === batch.records.length) {
      return this.#reject(batch, (details) => this.#refusal(result, details), result)
    }
    const error = this.#refusal(result, {})
    this.#settle(
      batch.records.filter((_, index) => guilty.has(index)),
      error,
    )
    this.#putBack(batch)
    return 'done'
  }

  #refusal(result: PartitionResult, details: ErrorDetails): TransportError {
    return refusal(result.errorCode, this.#act, { cause: problemOf(result), ...details })
  }

  #reject(
    batch: OutgoingBatch,
    error: (details: ErrorDetails) => TransportError,
    result: PartitionResult,
  ): AfterAnswer {
    const cause = problemOf(result)
    const doubt = this.#doubt
    this.#settle(batch.records, error(this.#written ? { cause, ...unknownFacts } : { cause }))
    this.#drop()
    if (doubt) this.#renew()
    return 'done'
  }

  /** Rejects what ran out of time. */
  expire(now: number): void {
    const batch = this.#batch
    if (batch !== undefined && batch.records[0]!.deadline <= now) {
      const late = batch.records.filter((record) => record.deadline <= now)
      this.#settle(
        late,
        this.#flying || this.#written
          ? unknownOutcome(this.#act, this.#problem)
          : notSent(this.#act, this.#problem),
      )
      this.#giveUpIfSettled()
    }
    this.#queue.rejectOverdue(now, () => notSent(this.#act, this.#problem))
  }

  /** Rejects everything. What may have been appended says so; a batch on its way is left to its answer if `keepFlying`. */
  fail(error: (details: ErrorDetails) => TransportError, keepFlying = false): void {
    if (!this.#queue.isEmpty) {
      const unsent = error({ cause: this.#problem })
      this.#queue.reject(() => unsent)
    }
    const batch = this.#batch
    if (batch === undefined || (this.#flying && keepFlying)) return
    const open = this.#flying || this.#written
    this.#settle(
      batch.records,
      error(open ? { cause: this.#problem, ...unknownFacts } : { cause: this.#problem }),
    )
    this.#drop()
    this.#renew()
  }

  /** Rule 6: nothing of this queue is used any more. */
  forget(): void {
    if (this.#producerId !== undefined) this.#producers.retire(this.#producerId, this.#epoch)
  }

  #settle(records: readonly PendingRecord[], error: TransportError): void {
    for (const record of records) {
      if (record.settled) continue
      record.settled = true
      record.reject(error)
    }
  }

  /** Its records wait again, before all others, without those that nobody waits for. */
  #putBack(batch: OutgoingBatch): void {
    const open = batch.records.filter((record) => !record.settled)
    for (const record of batch.records) if (record.settled) this.#held.drop(record)
    batch.records = []
    this.#queue.putBack(open)
    this.#drop()
    // It has waited already.
    this.queuedSince = 0
  }

  #drop(): void {
    if (this.#batch !== undefined) this.#held.letGo(this.#batch)
    this.#batch = undefined
    this.#flying = false
    this.#doubt = false
    this.#written = false
  }

  /** Nobody waits for this batch any more: it is not sent again (rule 3). */
  #giveUpIfSettled(): void {
    const batch = this.#batch
    if (batch === undefined || this.#flying || batch.records.some((record) => !record.settled)) return
    this.#drop()
    this.#renew()
  }

  #renew(): void {
    const next = this.#producerId === undefined ? undefined : this.#producers.nextEpoch(this.#epoch)
    if (next === undefined) return this.#replace()
    this.#epoch = next
    this.#sequence = 0
  }

  #replace(): void {
    if (this.#producerId !== undefined) this.#producers.abandon(this.#producerId)
    this.#producerId = undefined
  }

  get #act(): string {
    return `send to topic ${this.topic}, partition ${this.partition}`
  }
}

function isAsGiven({ record, bodySize: size }: PendingRecord): boolean {
  try {
    return bodySize(record) === size
  } catch {
    return false
  }
}

function problemOf(result: PartitionResult): Error {
  return new Error(
    result.message ? `${errorName(result.errorCode)}: ${result.message}` : errorName(result.errorCode),
  )
}
