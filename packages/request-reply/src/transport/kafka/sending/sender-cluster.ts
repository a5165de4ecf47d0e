/** The real cluster behind the sender: metadata, and connections for Produce alone. */
import type { BrokerPool, Connections } from '../connection/connections.ts'
import { refusal } from '../cluster/kafka-errors.ts'
import { Pauses, type PauseOptions } from '../waiting/pauses.ts'
import { isRetriable, kafka } from '../protocol/error-codes.ts'
import { initProducerIdApi } from '../protocol/init-producer-id.ts'
import type { BrokerNode, Leader, Metadata, TopicState } from '../cluster/metadata.ts'
import type { Patience } from './broker-sender.ts'
import { produceApi, type PartitionBatch, type PartitionResult } from './produce.ts'
import type { SenderCluster } from './sender.ts'

/** Milliseconds that a request may take beyond what the broker may wait for its replicas. */
const GRACE = 1_000
/** Milliseconds that the broker waits for the replicas of partitions that are not known to be slow. */
const SHORT_WAIT = 1_000
/** Milliseconds between tries for a producer id, and how many. */
const PAUSES: PauseOptions = { first: 20, longest: 200 }
const ROUNDS = 20

export class KafkaSenderCluster implements SenderCluster {
  readonly #metadata: Metadata
  readonly #pools: Readonly<Record<Patience, BrokerPool>>
  readonly #timeout: number

  constructor(connections: Connections, metadata: Metadata) {
    this.#metadata = metadata
    this.#timeout = connections.options.requestTimeout
    // A broker answers a connection's requests one after the other.
    this.#pools = {
      short: connections.open(this.#timeout + GRACE),
      long: connections.open(this.#timeout + GRACE),
    }
  }

  watch(topic: string): () => void {
    return this.#metadata.watch(topic)
  }

  topic(name: string): TopicState | undefined {
    return this.#metadata.topic(name)
  }

  leader(topic: string, partition: number): Leader | undefined {
    return this.#metadata.leader(topic, partition)
  }

  refresh(): Promise<void> {
    return this.#metadata.refresh()
  }

  onChange(listener: () => void): () => void {
    return this.#metadata.onChange(listener)
  }

  connected(node: BrokerNode, patience: Patience): boolean {
    return this.#pools[patience].peek(node) !== undefined
  }

  async connect(node: BrokerNode, patience: Patience): Promise<void> {
    try {
      const connection = await this.#pools[patience].get(node)
      // A version gap must show here: once a batch counts as sent, its outcome is unknown.
      connection.version(produceApi)
    } catch (error) {
      this.#metadata.blame(node)
      const { problem } = this.#metadata
      throw problem?.kind === 'unreachable' ? problem.error : error
    }
  }

  async produce(
    node: BrokerNode,
    batches: readonly PartitionBatch[],
    patience: Patience,
  ): Promise<PartitionResult[]> {
    const pool = this.#pools[patience]
    const wait = patience === 'short' ? Math.min(SHORT_WAIT, this.#timeout) : this.#timeout
    try {
      const connection = pool.peek(node) ?? (await pool.get(node))
      const results = await connection.ask(produceApi, { batches, timeout: wait })
      this.#metadata.absolve(node)
      return results
    } catch (error) {
      this.#metadata.blame(node)
      throw error
    }
  }

  async newProducerId(): Promise<bigint> {
    const act = 'ask for a producer id'
    const pauses = new Pauses(PAUSES)
    for (let round = 0; ; round++) {
      const answer = await this.#metadata.askAny('a request for a producer id', (connection) =>
        connection.ask(initProducerIdApi, { timeout: this.#timeout }),
      )
      if (answer.errorCode === kafka.none) return answer.producerId
      // A broker that has none in stock fetches some and says COORDINATOR_LOAD_IN_PROGRESS meanwhile.
      // UNKNOWN_SERVER_ERROR is one broker's, or one moment's (Apache Kafka 3.0 says it when its controller is busy).
      const passes = isRetriable(answer.errorCode) || answer.errorCode === kafka.unknownServerError
      if (round >= ROUNDS || !passes) throw refusal(answer.errorCode, act)
      await pauses.wait(undefined)
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#pools.short.close(), this.#pools.long.close()])
  }
}
