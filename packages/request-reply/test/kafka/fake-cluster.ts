/**
 * A cluster in memory for the sender's own tests: logs that check producer id, epoch and sequence as Apache Kafka does
 * (ProducerStateManager), brokers that do what the test says.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Reader, readRecordsBatch } from '@platformatic/kafka'
import type { BrokerNode, Leader, TopicState } from '../../src/transport/kafka/cluster/metadata.ts'
import type { Patience } from '../../src/transport/kafka/sending/broker-sender.ts'
import type { PartitionBatch, PartitionResult } from '../../src/transport/kafka/sending/produce.ts'
import type { SenderCluster } from '../../src/transport/kafka/sending/sender.ts'

/** A batch as it was read back from its bytes. */
export interface SeenBatch {
  readonly topic: string
  readonly partition: number
  readonly bytes: Buffer
  readonly producerId: bigint
  readonly epoch: number
  readonly sequence: number
  readonly values: readonly string[]
}

export interface SeenRequest {
  readonly node: number
  readonly patience: Patience
  readonly batches: readonly SeenBatch[]
}

interface ProducerState {
  epoch: number
  batches: { first: number; last: number; offset: number }[]
}

interface Log {
  values: string[]
  readonly producers: Map<bigint, ProducerState>
}

const OK = 0
const OUT_OF_ORDER = 45
const INVALID_EPOCH = 47

/** What a broker does with a request; `undefined` leaves it to the default, which is to append and answer. */
export type Behaviour = (request: SeenRequest) => Promise<PartitionResult[]> | undefined

export class FakeCluster implements SenderCluster {
  readonly requests: SeenRequest[] = []
  /** More than one request in flight at a broker on one way, or more than one batch of a partition: must stay empty. */
  readonly violations: string[] = []
  refreshes = 0
  producerIds = 0
  watched = new Map<string, number>()
  behaviour: Behaviour = () => undefined
  unreachable = new Set<number>()
  connectError: Error | undefined
  /** Layout that the next `refresh` brings. */
  readonly #topics = new Map<string, TopicState>()
  readonly #next = new Map<string, TopicState>()
  readonly #logs = new Map<string, Log>()
  readonly #listeners = new Set<() => void>()
  readonly #inFlight = new Map<string, number>()

  /** Sets who leads each partition, from the next `refresh` on. */
  lead(topic: string, leaders: readonly number[], more: Partial<TopicState> = {}): void {
    this.#next.set(topic, {
      name: topic,
      id: topic,
      partitions: leaders.map((leader, partition) => ({ partition, leader, epoch: 0 })),
      errorCode: 0,
      missing: false,
      absent: undefined,
      ...more,
    })
  }

  /** What stands in the log of a partition. */
  log(topic: string, partition = 0): string[] {
    return this.#log(topic, partition).values
  }

  /** The log loses its records, or the broker what it knows of its producers. */
  forgetProducers(topic: string, partition = 0): void {
    this.#log(topic, partition).producers.clear()
  }

  /** Every log refuses this sequence as out of order, as after a loss of what came before. */
  expect(topic: string, partition: number, producerId: bigint, sequence: number, epoch = 0): void {
    const batches = [{ first: sequence - 1, last: sequence - 1, offset: 0 }]
    this.#log(topic, partition).producers.set(producerId, { epoch, batches })
  }

  #log(topic: string, partition: number): Log {
    const key = `${topic}/${partition}`
    let log = this.#logs.get(key)
    if (log === undefined) this.#logs.set(key, (log = { values: [], producers: new Map() }))
    return log
  }

  /** Appends as the leader would, and says what it would answer. */
  append({ topic, partition, producerId, epoch, sequence, values }: SeenBatch): PartitionResult {
    const log = this.#log(topic, partition)
    const last = sequence + values.length - 1
    const state = log.producers.get(producerId)
    const answer = (errorCode: number, baseOffset: number): PartitionResult => ({
      topic,
      partition,
      errorCode,
      baseOffset,
      guilty: [],
      message: undefined,
    })
    if (state !== undefined) {
      if (epoch < state.epoch) return answer(INVALID_EPOCH, -1)
      if (epoch === state.epoch) {
        const same = state.batches.find((one) => one.first === sequence && one.last === last)
        if (same !== undefined) return answer(OK, same.offset)
        if (sequence !== state.batches.at(-1)!.last + 1) return answer(OUT_OF_ORDER, -1)
      } else if (sequence !== 0) return answer(OUT_OF_ORDER, -1)
    }
    const offset = log.values.length
    log.values.push(...values)
    const kept = state?.epoch === epoch ? state.batches.slice(-4) : []
    log.producers.set(producerId, { epoch, batches: [...kept, { first: sequence, last, offset }] })
    return answer(OK, offset)
  }

  appendAll(request: SeenRequest): PartitionResult[] {
    return request.batches.map((batch) => this.append(batch))
  }

  watch(topic: string): () => void {
    this.watched.set(topic, (this.watched.get(topic) ?? 0) + 1)
    return () => this.watched.set(topic, this.watched.get(topic)! - 1)
  }

  topic(name: string): TopicState | undefined {
    return this.#topics.get(name)
  }

  leader(topic: string, partition: number): Leader | undefined {
    const state = this.#topics.get(topic)?.partitions[partition]
    if (state === undefined || state.leader < 0) return undefined
    return { node: { id: state.leader, host: '127.0.0.1', port: 9000 + state.leader }, epoch: state.epoch }
  }

  async refresh(): Promise<void> {
    this.refreshes++
    await nextTurn()
    for (const [name, state] of this.#next) this.#topics.set(name, state)
    for (const listener of this.#listeners) listener()
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  connected(node: BrokerNode): boolean {
    return !this.unreachable.has(node.id) && this.connectError === undefined
  }

  async connect(node: BrokerNode): Promise<void> {
    await nextTurn()
    if (this.connectError !== undefined) throw this.connectError
    if (this.unreachable.has(node.id)) throw new Error(`connect ECONNREFUSED broker ${node.id}`)
  }

  async newProducerId(): Promise<bigint> {
    await nextTurn()
    return BigInt(100 + this.producerIds++)
  }

  async produce(
    node: BrokerNode,
    batches: readonly PartitionBatch[],
    patience: Patience,
  ): Promise<PartitionResult[]> {
    const request = { node: node.id, patience, batches: batches.map(decode) }
    this.requests.push(request)
    const way = `${patience} ${node.id}`
    const flying = (this.#inFlight.get(way) ?? 0) + 1
    this.#inFlight.set(way, flying)
    if (flying > 1) this.violations.push(`${flying} requests in flight at broker ${node.id}`)
    if (new Set(batches.map((one) => `${one.topic}/${one.partition}`)).size < batches.length) {
      this.violations.push('two batches of one partition in a request')
    }
    try {
      const special = this.behaviour(request)
      if (special !== undefined) return await special
      await nextTurn()
      return this.appendAll(request)
    } finally {
      this.#inFlight.set(way, this.#inFlight.get(way)! - 1)
    }
  }
}

function decode({ topic, partition, bytes }: PartitionBatch): SeenBatch {
  const batch = readRecordsBatch(Reader.from(bytes))
  return {
    topic,
    partition,
    bytes: Buffer.from(bytes),
    producerId: batch.producerId,
    epoch: batch.producerEpoch,
    sequence: batch.firstSequence,
    values: batch.records.map((record) => String(record.value)),
  }
}

/** An answer with one error code for every batch. */
export function refuse(request: SeenRequest, errorCode: number): PartitionResult[] {
  return request.batches.map(({ topic, partition }) => ({
    topic,
    partition,
    errorCode,
    baseOffset: -1,
    guilty: [],
    message: undefined,
  }))
}
