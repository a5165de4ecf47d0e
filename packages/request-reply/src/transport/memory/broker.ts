/**
 * A broker without a network, for unit tests and simulation: same semantics as the Kafka adapter, held to them by the
 * same contract suite, and deterministic when clock and chance are given.
 *
 * Not modelled: retention and compaction (records stay), more than one broker, authentication.
 */
import type { Clock } from '../../clock.ts'
import { OptionsError } from '../../errors.ts'
import { problemsOfParts, unknownOptions } from '../../given.ts'
import { classOf, said } from '../../words.ts'
import { ClusterState } from './cluster-state.ts'
import { MemoryTransport, type MemoryTransportOptions } from './transport.ts'
import type { IncomingRecord, CommittedOffset, TopicPartition, TopicSpec } from '../transport.ts'
import type { MemoryFaults } from './faults.ts'
import type { PartitionOwner } from './group.ts'

export interface MemoryBrokerOptions {
  /** Topics that exist from the beginning. */
  readonly topics?: readonly TopicSpec[] | undefined
  /** Default: the machine's clock; then an open transport keeps the process alive, as a connection would. */
  readonly clock?: Clock | undefined
  /** 0 ≤ x < 1; asked where a crash leaves open whether a record was still written. Default `Math.random`. */
  readonly random?: (() => number) | undefined
  /** Default: none. */
  readonly faults?: MemoryFaults | undefined
}

export interface MemoryBroker {
  /** May be replaced at any time. */
  faults: MemoryFaults
  /** A process of its own: several share the broker's topics and groups. */
  connect(options?: MemoryTransportOptions): MemoryTransport
  /** Raises a topic's number of partitions. */
  addPartitions(topic: string, total: number): void
  /** Everything in a topic, partition by partition. */
  records(topic: string): readonly IncomingRecord[]
  /** What a group has committed. */
  committed(groupId: string): readonly CommittedOffset[]
  /** Who has a partition in this group, as the group's coordinator sees it. */
  owner(groupId: string, partition: TopicPartition): PartitionOwner | undefined
}

/**
 * The machine's clock for a broker in the same process: what the broker still has to do, such as to end the session of
 * a member that is gone, keeps no process alive. Open transports do.
 */
const brokerClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  schedule(delay, run) {
    const timer = setTimeout(run, delay).unref()
    return { cancel: () => clearTimeout(timer) }
  },
}

const known: ReadonlySet<string> = new Set<keyof MemoryBrokerOptions>(['topics', 'clock', 'random', 'faults'])
const knownOfConnection: ReadonlySet<string> = new Set<keyof MemoryTransportOptions>([
  'clientId',
  'deliveryTimeout',
  'latency',
])

const knownOfTopic: ReadonlySet<string> = new Set<keyof TopicSpec>([
  'name',
  'partitions',
  'replicationFactor',
  'configs',
])

function problemsOfTopics(topics: unknown): string[] {
  if (!Array.isArray(topics)) return [`topics must be a list, not ${classOf(topics)}`]
  return topics.flatMap((topic: unknown, i) => {
    if (typeof topic !== 'object' || topic === null || Array.isArray(topic))
      return `topics[${i}] must be an object such as { name, partitions }, not ${classOf(topic)}`
    const { name, partitions } = topic as Readonly<Record<string, unknown>>
    const problems = unknownOptions('createMemoryBroker', topic, knownOfTopic)
    if (typeof name !== 'string') problems.push(`name must be a text, not ${said(name)}`)
    if (typeof partitions !== 'number') problems.push(`partitions must be a number, not ${said(partitions)}`)
    return problems.map((problem) => `topics[${i}]: ${problem}`)
  })
}

const knownOfFaults: ReadonlySet<string> = new Set<keyof MemoryFaults>(['send', 'deliveryDelay'])

/** A fault under another name would do nothing, and its test would pass. */
function problemsOfFaults(faults: unknown): string[] {
  if (typeof faults !== 'object' || faults === null)
    return [`faults must be an object, not ${classOf(faults)}`]
  return [
    ...unknownOptions('faults', faults, knownOfFaults),
    ...Object.entries(faults)
      .filter(
        ([name, fault]) => knownOfFaults.has(name) && fault !== undefined && typeof fault !== 'function',
      )
      .map(([name, fault]) => `${name} must be a function, not ${classOf(fault)}`),
  ].map((problem) => `faults: ${problem}`)
}

/** @throws OptionsError `MILENA_OPTIONS_INVALID` */
export function createMemoryBroker(options: MemoryBrokerOptions = {}): MemoryBroker {
  const problems = [...unknownOptions('createMemoryBroker', options, known), ...problemsOfParts(options)]
  const { random, topics = [], faults = {} } = options
  problems.push(...problemsOfTopics(topics), ...problemsOfFaults(faults))
  if (problems.length > 0) throw new OptionsError('createMemoryBroker', problems)
  const cluster = new ClusterState(options.clock ?? brokerClock, random ?? Math.random)
  cluster.faults = faults
  for (const topic of topics) cluster.createTopic(topic)
  let connections = 0

  return {
    get faults() {
      return cluster.faults
    },
    set faults(given) {
      const wrong = problemsOfFaults(given)
      if (wrong.length > 0) throw new OptionsError('memory broker', wrong)
      cluster.faults = given
    },
    connect(transportOptions = {}) {
      const wrong = unknownOptions('connect', transportOptions, knownOfConnection)
      for (const name of ['deliveryTimeout', 'latency'] as const) {
        const value = transportOptions[name]
        if (value !== undefined && !(typeof value === 'number' && value >= 0))
          wrong.push(`${name} must be a number of milliseconds, not ${said(value)}`)
      }
      if (wrong.length > 0) throw new OptionsError('connect', wrong)
      connections++
      const keepAlive = options.clock ? undefined : setInterval(() => {}, 2 ** 30)
      const clientId = transportOptions.clientId ?? `client-${connections}`
      return new MemoryTransport(cluster, clientId, transportOptions, () => clearInterval(keepAlive))
    },
    addPartitions: (topic, total) => cluster.addPartitions(topic, total),
    records: (topic) => cluster.topics.get(topic)?.partitions.flatMap((log) => log.records) ?? [],
    committed: (groupId) => [...cluster.group(groupId).offsets.values()],
    owner: (groupId, partition) => cluster.group(groupId).ownerOf(partition),
  }
}
