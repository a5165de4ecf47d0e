import { randomUUID } from 'node:crypto'
import { errorCodes } from '../wire/error-codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { LogMemory } from './memory.ts'
import type { TopicMemory } from './memory.ts'
import { Partition } from './partition.ts'
import { TopicConfigs } from './topic-configs.ts'

const maxNameLength = 249
const maxPartitionsOfTopic = 10_000
const maxPartitions = 100_000

export interface Topic {
  readonly name: string
  /** UUID in its text form. */
  readonly id: string
  readonly partitions: Partition[]
  readonly configs: TopicConfigs
  readonly memory: TopicMemory
}

export interface TopicsOptions {
  /** Memory that all logs together may hold, in bytes; `memory.ts` says what happens at it. */
  readonly maxLogBytes: number
  /** Defaults of topic configs, where they differ from Apache Kafka's. */
  readonly configDefaults: ReadonlyMap<string, string>
  onDeleted(name: string): void
  /** Told when records were dropped because the memory was full. */
  onDropped(topic: string): void
  /** Told when a producer was refused because the memory was full. */
  onFull(topic: string): void
}

/** The topics by name, and the bound on the memory that their logs hold. */
export class Topics {
  readonly #options: TopicsOptions
  readonly #byName = new Map<string, Topic>()
  readonly #byId = new Map<string, Topic>()
  readonly #namesByMetric = new Map<string, string>()
  #partitionCount = 0
  readonly #memory: LogMemory

  constructor(options: TopicsOptions) {
    this.#options = options
    this.#memory = new LogMemory({
      maxBytes: options.maxLogBytes,
      retain: () => this.retain(Date.now()),
      onDropped: (topic) => options.onDropped(topic),
      onFull: (topic) => options.onFull(topic),
    })
  }

  /** Memory that the logs hold, in bytes. */
  get logBytes(): number {
    return this.#memory.used
  }

  get size(): number {
    return this.#byName.size
  }

  all(): IterableIterator<Topic> {
    return this.#byName.values()
  }

  get(name: string): Topic | undefined {
    return this.#byName.get(name)
  }

  getById(id: string): Topic | undefined {
    return this.#byId.get(id)
  }

  /** Undefined if there is no such topic or no such partition of it. */
  partition(name: string, index: number): Partition | undefined {
    return this.#byName.get(name)?.partitions[index]
  }

  /**
   * @throws ProtocolError INVALID_TOPIC_EXCEPTION, TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS, INVALID_CONFIG or
   *   POLICY_VIOLATION
   */
  create(
    name: string,
    partitions: number,
    configs: ReadonlyMap<string, string>,
    validateOnly = false,
  ): Topic {
    this.checkName(name)
    if (this.#byName.has(name)) {
      throw new ProtocolError(errorCodes.TOPIC_ALREADY_EXISTS, `topic ${name} already exists`)
    }
    const collides = this.#namesByMetric.get(metricName(name))
    if (collides !== undefined) {
      throw invalidName(name, `collides with topic ${collides}: "." and "_" count as the same`)
    }
    if (partitions < 1 || partitions > maxPartitionsOfTopic) {
      throw new ProtocolError(
        errorCodes.INVALID_PARTITIONS,
        `a topic has 1 to ${maxPartitionsOfTopic} partitions, not ${partitions}`,
      )
    }
    this.#checkPartitionCount(partitions)
    const checked = new TopicConfigs(configs, this.#options.configDefaults)
    const list: Partition[] = []
    const memory = this.#memory.ofTopic(name, checked, list)
    const topic: Topic = { name, id: randomUUID(), partitions: list, configs: checked, memory }
    if (validateOnly) return topic
    memory.takeTexts(checked.bytes)
    this.#byName.set(name, topic)
    this.#byId.set(topic.id, topic)
    this.#namesByMetric.set(metricName(name), name)
    this.#addPartitions(topic, partitions)
    return topic
  }

  /**
   * Grows the topic to `count` partitions.
   * @throws ProtocolError UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS or POLICY_VIOLATION
   */
  grow(name: string, count: number, validateOnly = false): void {
    const topic = this.#byName.get(name)
    if (topic === undefined) {
      throw new ProtocolError(errorCodes.UNKNOWN_TOPIC_OR_PARTITION, `there is no topic ${name}`)
    }
    const present = topic.partitions.length
    if (count <= present || count > maxPartitionsOfTopic) {
      const problem =
        count === present
          ? `topic ${name} already has ${present} partitions`
          : `topic ${name} has ${present} partitions and can grow to ${maxPartitionsOfTopic}, not to ${count}`
      throw new ProtocolError(errorCodes.INVALID_PARTITIONS, problem)
    }
    this.#checkPartitionCount(count - present)
    if (!validateOnly) this.#addPartitions(topic, count)
  }

  /** False if there is no such topic. Whoever waits for its records is woken. */
  delete(name: string): boolean {
    const topic = this.#byName.get(name)
    if (topic === undefined) return false
    this.#byName.delete(name)
    this.#byId.delete(topic.id)
    this.#namesByMetric.delete(metricName(name))
    this.#partitionCount -= topic.partitions.length
    for (const partition of topic.partitions) partition.delete()
    topic.memory.takeTexts(0)
    this.#options.onDeleted(name)
    return true
  }

  /**
   * Replaces the configs that a topic has of its own.
   * @throws ProtocolError INVALID_CONFIG or KAFKA_STORAGE_ERROR, and nothing is changed
   */
  configure(topic: Topic, configs: ReadonlyMap<string, string>): void {
    const checked = new TopicConfigs(configs, this.#options.configDefaults)
    topic.memory.takeTexts(checked.bytes)
    topic.configs.replace(configs)
  }

  /** Drops what the topics' retention allows to go. */
  retain(now: number): void {
    for (const topic of this.#byName.values()) for (const partition of topic.partitions) partition.retain(now)
  }

  close(): void {
    for (const topic of this.#byName.values()) for (const partition of topic.partitions) partition.delete()
    this.#byName.clear()
    this.#byId.clear()
    this.#namesByMetric.clear()
  }

  #addPartitions(topic: Topic, count: number): void {
    this.#partitionCount += count - topic.partitions.length
    for (let index = topic.partitions.length; index < count; index += 1) {
      topic.partitions.push(new Partition(topic.name, index, topic.configs, topic.memory))
    }
  }

  /** @throws ProtocolError INVALID_TOPIC_EXCEPTION if no topic may have this name */
  checkName(name: string): void {
    if (name === '') throw invalidName(name, 'is empty')
    if (name === '.' || name === '..') throw invalidName(name, 'is not allowed')
    if (name.length > maxNameLength) throw invalidName(name, `is longer than ${maxNameLength} characters`)
    if (!/^[a-zA-Z0-9._-]+$/.test(name)) {
      throw invalidName(name, 'has characters other than a-z, A-Z, 0-9, ".", "_" and "-"')
    }
  }

  #checkPartitionCount(added: number): void {
    if (this.#partitionCount + added <= maxPartitions) return
    throw new ProtocolError(
      errorCodes.POLICY_VIOLATION,
      `the broker holds ${this.#partitionCount} partitions and at most ${maxPartitions}`,
    )
  }
}

/** Names that differ only in "." and "_" are one name to Apache Kafka's metrics, so it refuses the second. */
function metricName(name: string): string {
  return name.replaceAll('.', '_')
}

function invalidName(name: string, problem: string): ProtocolError {
  return new ProtocolError(
    errorCodes.INVALID_TOPIC_EXCEPTION,
    `topic name "${name.slice(0, 300)}" ${problem}`,
  )
}
