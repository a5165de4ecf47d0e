/**
 * One process's connection to an in-memory broker.
 */
import { TransportError } from '../../errors.ts'
import { malformed } from '../malformed.ts'
import { partitionForKey } from '../partitioner.ts'
import { OrderedCalls, Link, type Parcel } from './link.ts'
import { recordSize, type PartitionLog } from './log.ts'
import { MemoryMembership } from './membership.ts'
import {
  brokerError,
  isTooLong,
  metadataTooLong,
  partitionMissing,
  topicMissing,
  transportClosed,
} from './refusals.ts'
import { MemoryTail } from './tail.ts'
import type {
  GroupMembership,
  GroupOptions,
  CommittedOffset,
  OutgoingRecord,
  RecordPosition,
  Tail,
  TailOptions,
  TopicDescription,
  TopicSpec,
  Transport,
} from '../transport.ts'
import type { ClusterState } from './cluster-state.ts'
import type { SendFate } from './faults.ts'

/** Kafka's `offset.metadata.max.bytes`. */

export interface MemoryTransportOptions {
  /** Told to the fault hooks; default `client-1`, `client-2`, … */
  readonly clientId?: string | undefined
  /** Milliseconds that a send, or another question to the broker, may take before it is rejected; default 30 000. */
  readonly deliveryTimeout?: number | undefined
  /** Milliseconds of the clock for each way between client and broker; default 0, which is still a later tick. */
  readonly latency?: number | undefined
}

/**
 * A record on its way: `given` ──arrive──▶ `arrived`, `appended` ──acknowledge──▶ settled; a deadline or a crash settles it
 * earlier, and so does taking it back before it has arrived.
 */
interface Sending {
  readonly log: PartitionLog
  readonly record: OutgoingRecord
  readonly bytes: number
  /** Itself on its way, then its answer. */
  parcel: Parcel | undefined
  /** The broker has seen it, and may have refused it. */
  arrived: boolean
  appended: boolean
  settled: boolean
  resolve(position: RecordPosition): void
  reject(error: TransportError): void
}

export class MemoryTransport implements Transport {
  readonly #cluster: ClusterState
  readonly #link: Link
  readonly #deliveryTimeout: number
  readonly #onEnd: () => void
  readonly #calls = new Map<PartitionLog, OrderedCalls>()
  readonly #answers: OrderedCalls
  /** By what `send` was given. */
  readonly #given = new Map<OutgoingRecord, Sending>()
  readonly #sending = new Set<Sending>()
  #sendingBytes = 0
  readonly #turns = new Map<string, number>()
  readonly #tails = new Set<MemoryTail>()
  readonly #memberships = new Set<MemoryMembership>()
  readonly #waiting = new Set<() => void>()
  #closing: Promise<void> | undefined
  #ended = false

  constructor(cluster: ClusterState, clientId: string, options: MemoryTransportOptions, onEnd: () => void) {
    this.#cluster = cluster
    this.#link = new Link(clientId, cluster.clock, options.latency ?? 0)
    this.#deliveryTimeout = options.deliveryTimeout ?? 30_000
    this.#onEnd = onEnd
    this.#answers = new OrderedCalls(this.#link)
  }

  get clientId(): string {
    return this.#link.clientId
  }

  send(record: OutgoingRecord): Promise<RecordPosition> {
    const wrong = malformed(record)
    if (wrong) return Promise.reject(wrong)
    if (this.#ended) return Promise.reject(transportClosed(`a record for ${record.topic} was not sent`))
    const log = this.#partitionOf(record)
    if (log instanceof TransportError) return Promise.reject(log)
    const { promise, resolve, reject } = Promise.withResolvers<RecordPosition>()
    const deadline = this.#cluster.clock.schedule(this.#deliveryTimeout, () => this.#giveUp(sending))
    const settle =
      <T>(how: (value: T) => void): ((value: T) => void) =>
      (value) => {
        if (sending.settled) return
        sending.settled = true
        deadline.cancel()
        sending.parcel?.takeOut()
        this.#sending.delete(sending)
        this.#sendingBytes -= sending.bytes
        if (this.#given.get(record) === sending) this.#given.delete(record)
        how(value)
      }
    const sending: Sending = {
      log,
      record: copyOf(record),
      bytes: recordSize(record),
      parcel: undefined,
      arrived: false,
      appended: false,
      settled: false,
      resolve: settle(resolve),
      reject: settle(reject),
    }
    this.#sending.add(sending)
    this.#sendingBytes += sending.bytes
    this.#given.set(record, sending)
    const fault = this.#cluster.faults.send?.({ ...record, partition: log.partition }, this.clientId) ?? {}
    sending.parcel = this.#callsTo(log).push(fault.delay ?? 0, () =>
      this.#arrive(sending, fault.fate ?? 'deliver', fault.ackDelay ?? 0),
    )
    return promise
  }

  withdraw(record: OutgoingRecord): boolean {
    const sending = this.#given.get(record)
    if (!sending || sending.arrived) return false
    sending.reject(notSent(sending.log, 'it was taken back before'))
    return true
  }

  sending(): { readonly records: number; readonly bytes: number } {
    return { records: this.#sending.size, bytes: this.#sendingBytes }
  }

  async tail(options: TailOptions): Promise<Tail> {
    await this.#roundTrip(`topic ${options.topic} is not read`)
    const tail = new MemoryTail(this.#cluster, this.#link, options, () => this.#tails.delete(tail))
    this.#tails.add(tail)
    return tail
  }

  async join(options: GroupOptions): Promise<GroupMembership> {
    this.#assertOpen(`group ${options.groupId} is not joined`)
    const membership = new MemoryMembership(this.#cluster, this.#link, options, () =>
      this.#memberships.delete(membership),
    )
    this.#memberships.add(membership)
    try {
      await membership.join()
    } catch (error) {
      this.#memberships.delete(membership)
      throw error
    }
    if (this.#ended || this.#closing) throw transportClosed(`group ${options.groupId} is not joined`)
    return membership
  }

  async describeTopics(names?: readonly string[]): Promise<ReadonlyMap<string, TopicDescription>> {
    await this.#roundTrip('topics are not described')
    const found = new Map<string, TopicDescription>()
    for (const name of names ?? this.#cluster.topics.keys()) {
      const topic = this.#cluster.topics.get(name)
      if (topic) found.set(name, { name, partitions: topic.partitions.length })
    }
    return found
  }

  async createTopics(topics: readonly TopicSpec[]): Promise<void> {
    await this.#roundTrip('topics are not created')
    for (const topic of topics) this.#cluster.createTopic(topic)
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    await this.#roundTrip('topics are not deleted')
    for (const name of names) this.#cluster.deleteTopic(name)
  }

  async readCommittedOffsets(
    groupId: string,
    topics: readonly string[],
  ): Promise<readonly CommittedOffset[]> {
    await this.#roundTrip(`the offsets of group ${groupId} are not read`)
    return [...this.#cluster.group(groupId).offsets.values()].filter((offset) =>
      topics.includes(offset.topic),
    )
  }

  async writeCommittedOffsets(groupId: string, offsets: readonly CommittedOffset[]): Promise<void> {
    await this.#roundTrip(`the offsets of group ${groupId} are not written`)
    const group = this.#cluster.group(groupId)
    if (group.hasMembers)
      throw brokerError('UNKNOWN_MEMBER_ID', `group ${groupId} has members: only they commit to it`)
    for (const offset of offsets) {
      const topic = this.#cluster.topics.get(offset.topic)
      if (!topic) throw topicMissing(offset.topic)
      if (!topic.partitions[offset.partition])
        throw partitionMissing(offset.topic, offset.partition, topic.partitions.length)
      if (isTooLong(offset)) throw metadataTooLong()
    }
    for (const offset of offsets) group.setCommitted(offset)
  }

  close(): Promise<void> {
    this.#closing ??= this.#shut()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * The process dies: nothing more is handed over or committed, sends on their way may or may not be in the log
   * (`MILENA_SEND_UNKNOWN`), and its group members keep their partitions until their sessions time out.
   */
  kill(): void {
    if (this.#ended) return
    for (const sending of this.#sending) {
      if (!sending.arrived && this.#cluster.random() < 0.5) this.#append(sending)
      sending.reject(sendUnknown(sending.log, 'the connection was lost'))
    }
    for (const membership of this.#memberships) membership.kill()
    this.#end()
  }

  /**
   * The connection is cut for so many milliseconds: whatever is on its way, either way, waits. Longer than a send's
   * delivery timeout the send fails; longer than a member's session timeout the group goes on without it.
   */
  disconnect(milliseconds: number): void {
    this.#link.cut(milliseconds)
    for (const membership of this.#memberships) membership.cut()
  }

  async #shut(): Promise<void> {
    // Whoever waits for an answer, or opens a tail, is told at once; a membership that is joining is closed like others.
    this.#stopWaiting()
    // Tails end at once, and whoever reads is told so; members drain first, who may still send and commit.
    for (const membership of this.#memberships) membership.transportClosed()
    for (const tail of this.#tails) {
      tail.transportClosed()
      void tail.close()
    }
    await Promise.all([...this.#memberships].map((membership) => membership.close()))
    for (const sending of this.#sending)
      if (sending.appended) sending.reject(sendUnknown(sending.log, 'the transport was closed'))
      else sending.reject(transportClosed(`a record for ${sending.log.topic} was not sent`))
    this.#end()
  }

  #end(): void {
    this.#ended = true
    this.#link.end()
    for (const tail of this.#tails) void tail.close()
    this.#stopWaiting()
    this.#onEnd()
  }

  #stopWaiting(): void {
    for (const goOn of this.#waiting) goOn()
  }

  #partitionOf(record: OutgoingRecord): PartitionLog | TransportError {
    const topic = this.#cluster.topics.get(record.topic)
    if (!topic) return topicMissing(record.topic)
    const size = recordSize(record)
    const most = this.#cluster.maxRecordBytes(topic)
    if (size > most)
      return new TransportError(
        'MILENA_RECORD_TOO_LARGE',
        `a record of ${size} bytes for topic ${record.topic}, which takes at most ${most}`,
      )
    const count = topic.partitions.length
    const partition = record.partition ?? this.#choose(record, count)
    return topic.partitions[partition] ?? partitionMissing(record.topic, partition, count)
  }

  #choose({ topic, key }: OutgoingRecord, count: number): number {
    if (key !== null) return partitionForKey(key, count)
    const turn = this.#turns.get(topic) ?? 0
    this.#turns.set(topic, turn + 1)
    return turn % count
  }

  #callsTo(log: PartitionLog): OrderedCalls {
    let calls = this.#calls.get(log)
    if (!calls) this.#calls.set(log, (calls = new OrderedCalls(this.#link)))
    return calls
  }

  /** The record is at the broker. */
  #arrive(sending: Sending, fate: SendFate, ackDelay: number): void {
    if (sending.settled) return
    sending.arrived = true
    const { log } = sending
    const answer = (delay: number, give: () => void): void => {
      sending.parcel = this.#answers.push(delay, give)
    }
    if (this.#cluster.topics.get(log.topic)?.partitions[log.partition] !== log) {
      answer(0, () => sending.reject(topicMissing(log.topic)))
    } else if (fate === 'not-sent') {
      answer(ackDelay, () => sending.reject(notSent(log, 'the broker did not take it')))
    } else if (fate === 'unknown') {
      answer(ackDelay, () => sending.reject(sendUnknown(log, 'no acknowledgement came')))
    } else if (fate === 'lost') {
      const { topic, partition } = log
      answer(ackDelay, () => sending.resolve({ topic, partition, offset: log.records.length }))
    } else {
      const position = this.#append(sending)
      if (fate === 'duplicate') this.#append(sending)
      answer(ackDelay, () =>
        fate === 'unknown-appended'
          ? sending.reject(sendUnknown(log, 'no acknowledgement came'))
          : sending.resolve(position),
      )
    }
  }

  #append(sending: Sending): RecordPosition {
    sending.appended = true
    const { topic, partition, offset } = sending.log.append(sending.record, this.#cluster.clock.now())
    return { topic, partition, offset }
  }

  #giveUp(sending: Sending): void {
    const why = `${this.#deliveryTimeout} ms have passed`
    sending.reject(sending.appended ? sendUnknown(sending.log, why) : notSent(sending.log, why))
  }

  #assertOpen(what: string): void {
    if (this.#ended || this.#closing) throw transportClosed(what)
  }

  /** A question to the broker and its answer: two ticks, and the transport must be open after both. */
  async #roundTrip(what: string): Promise<void> {
    this.#assertOpen(what)
    const { promise, resolve } = Promise.withResolvers<'answered' | void>()
    const deadline = this.#cluster.clock.schedule(this.#deliveryTimeout, resolve)
    const goOn = (): void => resolve()
    this.#waiting.add(goOn)
    this.#link.after(0, () => this.#link.after(0, () => resolve('answered')))
    const answer = await promise
    deadline.cancel()
    this.#waiting.delete(goOn)
    if (this.#ended || this.#closing) throw transportClosed(what)
    if (answer !== 'answered') throw unreachable(what, this.#deliveryTimeout)
  }
}

/** The broker keeps what was sent, whatever the sender does with its buffers afterwards. */
function copyOf(record: OutgoingRecord): OutgoingRecord {
  return {
    ...record,
    key: record.key && Buffer.from(record.key),
    value: record.value && Buffer.from(record.value),
    headers: record.headers.map(([name, value]) => [Buffer.from(name), value && Buffer.from(value)]),
  }
}

function notSent(log: PartitionLog, why: string): TransportError {
  return new TransportError(
    'MILENA_NOT_SENT',
    `a record for ${log.topic}[${log.partition}] was not sent: ${why}`,
  )
}

function unreachable(what: string, timeout: number): TransportError {
  return new TransportError('MILENA_BROKER_UNREACHABLE', `${what}: no answer within ${timeout} ms`)
}

function sendUnknown(log: PartitionLog, why: string): TransportError {
  return new TransportError(
    'MILENA_SEND_UNKNOWN',
    `a record for ${log.topic}[${log.partition}] may be in the log or not: ${why}`,
  )
}
