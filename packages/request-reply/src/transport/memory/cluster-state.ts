/**
 * What all clients of one in-memory broker share: topics, groups, time and chance.
 */
import { MemoryGroup } from './group.ts'
import { TopicLog } from './log.ts'
import { brokerError } from './refusals.ts'
import type { Clock } from '../../clock.ts'
import type { TopicSpec } from '../transport.ts'
import type { MemoryFaults } from './faults.ts'

/** Kafka's `message.max.bytes`. */
const defaultMaxRecordBytes = 1_048_588

export class ClusterState {
  readonly clock: Clock
  readonly random: () => number
  readonly topics: Map<string, TopicLog> = new Map()
  readonly #groups = new Map<string, MemoryGroup>()
  readonly #watchers = new Set<() => void>()
  faults: MemoryFaults = {}

  constructor(clock: Clock, random: () => number) {
    this.clock = clock
    this.random = random
  }

  group(groupId: string): MemoryGroup {
    let group = this.#groups.get(groupId)
    if (!group) this.#groups.set(groupId, (group = new MemoryGroup(this)))
    return group
  }

  /** Called after topics or partitions have come or gone. */
  watch(changed: () => void): void {
    this.#watchers.add(changed)
  }

  unwatch(changed: () => void): void {
    this.#watchers.delete(changed)
  }

  createTopic({ name, partitions, configs = {} }: TopicSpec): void {
    if (this.topics.has(name)) return
    if (!/^[a-zA-Z0-9._-]{1,249}$/.test(name) || name === '.' || name === '..')
      throw brokerError(
        'INVALID_TOPIC_EXCEPTION',
        `${JSON.stringify(name)} is no topic name: 1 to 249 of a-z A-Z 0-9 . _ -`,
      )
    if (!Number.isInteger(partitions) || partitions < 1)
      throw brokerError(
        'INVALID_PARTITIONS',
        `topic ${name} cannot have ${partitions} partitions, only 1 or more`,
      )
    this.topics.set(name, new TopicLog(name, partitions, configs))
    this.#changed()
  }

  addPartitions(name: string, total: number): void {
    this.topics.get(name)?.grow(total)
    this.#changed()
  }

  deleteTopic(name: string): void {
    if (!this.topics.delete(name)) return
    for (const group of this.#groups.values()) group.topicDeleted(name)
    this.#changed()
  }

  maxRecordBytes(topic: TopicLog): number {
    return Number(topic.configs['max.message.bytes'] ?? defaultMaxRecordBytes)
  }

  #changed(): void {
    for (const group of this.#groups.values()) group.topicsGrew()
    for (const changed of this.#watchers) changed()
  }
}
