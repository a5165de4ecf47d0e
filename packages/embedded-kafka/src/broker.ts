import { randomBytes, randomInt } from 'node:crypto'
import { GroupCoordinator } from './groups/coordinator.ts'
import { Topics } from './log/topics.ts'
import type { Topic } from './log/topics.ts'
import type { BrokerSettings } from './options.ts'

/** One broker of the cluster as clients are told to reach it. */
export interface BrokerNode {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

/** Records dropped for want of memory are reported at most so often. */
const dropReportMs = 60_000

/**
 * The state that all connections share and that each handler is given.
 *
 * `topics` holds the logs, `groups` the consumer groups; later parts (transactions, fault controls) become fields
 * beside them. Several listeners posing as a cluster would be several `nodes`.
 */
export class Broker {
  readonly settings: BrokerSettings
  readonly clusterId: string
  /** Never empty once the broker listens. */
  readonly nodes: BrokerNode[] = []
  readonly topics: Topics
  readonly groups: GroupCoordinator
  readonly #retention: NodeJS.Timeout
  /** Begins anywhere: a client that outlives the broker must not meet its own id, given to somebody else by the next. */
  #nextProducerId: number = randomInt(2 ** 47)
  #droppedSegments = 0
  #lastDropReport = -Infinity

  constructor(settings: BrokerSettings) {
    this.settings = settings
    this.clusterId = settings.clusterId ?? randomBytes(16).toString('base64url')
    this.groups = new GroupCoordinator({
      hasPartition: (topic, index) => this.topics.partition(topic, index) !== undefined,
      options: settings.groups,
    })
    this.topics = new Topics({
      maxLogBytes: settings.maxLogBytes,
      configDefaults: settings.topicDefaults,
      onDeleted: (name) => this.groups.topicDeleted(name),
      onDropped: (partition) => this.#reportDropped(partition.topic, partition.index),
    })
    this.#retention = setInterval(() => this.topics.retain(Date.now()), settings.retentionCheckMs)
  }

  /** The node that leads every partition and answers for the cluster. */
  get controller(): BrokerNode {
    return this.nodes[0]!
  }

  /** The node that coordinates this group or transactional id. */
  coordinatorOf(_key: string): BrokerNode {
    return this.nodes[0]!
  }

  /** Segments that were dropped because the logs' memory was full. */
  get droppedSegments(): number {
    return this.#droppedSegments
  }

  /** A producer id that nobody had before. */
  newProducerId(): number {
    this.#nextProducerId += 1
    return this.#nextProducerId
  }

  /** The topic, made now if it is missing and the broker makes topics by itself. @throws ProtocolError as create */
  topicForUse(name: string, mayCreate: boolean): Topic | undefined {
    const topic = this.topics.get(name)
    if (topic !== undefined || !mayCreate || !this.settings.autoCreateTopics) return topic
    return this.topics.create(name, this.settings.defaultPartitions, new Map())
  }

  close(): void {
    clearInterval(this.#retention)
    this.groups.close()
    this.topics.close()
  }

  #reportDropped(topic: string, partition: number): void {
    this.#droppedSegments += 1
    const now = Date.now()
    if (now - this.#lastDropReport < dropReportMs) return
    this.#lastDropReport = now
    this.settings.report(
      `the logs reached maxLogBytes = ${this.settings.maxLogBytes}: dropping the oldest records, now of ` +
        `${topic}/${partition}; set retention.ms or retention.bytes of your topics, or a larger maxLogBytes`,
    )
  }
}
