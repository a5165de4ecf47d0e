import { randomBytes, randomInt } from 'node:crypto'
import { LongWork } from './apis/turns.ts'
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

/** Each matter is told at most so often. */
const warnAgainMs = 60_000
/** So many topics are named, those that hold the most. */
const namedTopics = 3

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
  /** What takes long to do, and to write: one answer is made at a time, so that memory holds one that is unfinished. */
  readonly longWork: LongWork = new LongWork('inRounds')
  readonly longAnswers: LongWork = new LongWork('oneByOne')
  readonly #retention: NodeJS.Timeout
  /** Begins anywhere: a client that outlives the broker must not meet its own id, given to somebody else by the next. */
  #nextProducerId: number = randomInt(2 ** 47)
  #droppedSegments = 0
  #refusedBatches = 0
  readonly #warnedAt = new Map<string, number>()

  constructor(settings: BrokerSettings) {
    this.settings = settings
    this.clusterId = settings.clusterId ?? randomBytes(16).toString('base64url')
    this.groups = new GroupCoordinator({
      hasPartition: (topic, index) => this.topics.partition(topic, index) !== undefined,
      options: settings.groups,
      onEvicted: (groupId) => this.#warnEvicted(groupId),
    })
    this.topics = new Topics({
      maxLogBytes: settings.maxLogBytes,
      configDefaults: settings.topicDefaults,
      onDeleted: (name) => this.groups.topicDeleted(name),
      onDropped: (topic) => this.#warnDropped(topic),
      onFull: (topic) => this.#warnFull(topic),
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

  /** Times that a producer, or a topic's configs, were refused because the logs' memory was full. */
  get refusedBatches(): number {
    return this.#refusedBatches
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

  #warnDropped(topic: string): void {
    this.#droppedSegments += 1
    this.#warn(
      'dropped',
      `${topic} lets go of its oldest records sooner than by its retention, because the logs hold nearly maxLogBytes ` +
        `= ${this.settings.maxLogBytes}: ${this.#largest()}. Give a topic a retention.bytes or retention.ms of its ` +
        'own, delete what is not needed, or start the broker with a larger maxLogBytes',
    )
  }

  #warnFull(topic: string): void {
    this.#refusedBatches += 1
    this.#warn(
      'full',
      `the logs are full (maxLogBytes = ${this.settings.maxLogBytes}) and nothing of ${topic} may go, so its ` +
        `producers are refused with KAFKA_STORAGE_ERROR: ${this.#largest()}. Delete topics or records, lower their ` +
        'retention.bytes or retention.ms, or start the broker with a larger maxLogBytes',
    )
  }

  #warnEvicted(groupId: string): void {
    this.#warn(
      'groups',
      `there are more groups than maxGroups = ${this.settings.groups.maxGroups}, so those without members that were ` +
        `unused for the longest are forgotten with their offsets, now ${groupId.slice(0, 300)}. Delete groups, or ` +
        'start the broker with a larger groups.maxGroups',
    )
  }

  /** The topics that hold the most memory, in words. */
  #largest(): string {
    return [...this.topics.all()]
      .toSorted((one, other) => other.memory.bytes - one.memory.bytes)
      .slice(0, namedTopics)
      .map(({ name, memory }) => `${name} holds ${memory.bytes} bytes`)
      .join(', ')
  }

  #warn(matter: string, line: string): void {
    const now = Date.now()
    if (now - (this.#warnedAt.get(matter) ?? -Infinity) < warnAgainMs) return
    this.#warnedAt.set(matter, now)
    this.settings.warn(line)
  }
}
