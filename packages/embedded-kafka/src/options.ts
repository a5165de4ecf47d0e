import { completeGroupOptions } from './groups/options.ts'
import type { GroupOptions } from './groups/options.ts'
import { configProblem, topicConfigTable } from './log/topic-config-table.ts'

/** A topic to begin with: its name, or `name:partitions`, or all of it. */
export type TopicInput = string | TopicSpec

export interface TopicSpec {
  readonly name: string
  /** Default: `defaultPartitions` of the broker. */
  readonly partitions?: number
  /** Topic configs by Apache Kafka's names, such as `{ 'retention.ms': 60_000 }`. */
  readonly configs?: Readonly<Record<string, string | number | boolean>>
}

/** How a broker is started. Names in parentheses are Apache Kafka's for the same thing. */
export interface EmbeddedKafkaOptions {
  /** Address to listen at. Default 127.0.0.1. */
  readonly host?: string
  /** Port to listen at; 0 takes a free one. Default 0. */
  readonly port?: number
  /** Host that clients are told to connect to (advertised.listeners). Default: `host`, or 127.0.0.1 if that is any address. */
  readonly advertisedHost?: string
  /** Port that clients are told to connect to (advertised.listeners), where a mapping stands before it. Default: the one it listens at. */
  readonly advertisedPort?: number
  /** Id of the cluster. Default: a random one. */
  readonly clusterId?: string
  /** Id of the broker (node.id). Default 1. */
  readonly nodeId?: number
  /** Topics that are there from the start. Default: none. */
  readonly topics?: readonly TopicInput[]
  /** Whether a topic that a producer or consumer asks for comes into being (auto.create.topics.enable). Default false. */
  readonly autoCreateTopics?: boolean
  /** Partitions of a topic that names no number (num.partitions). Default 1. */
  readonly defaultPartitions?: number
  /**
   * Defaults of topic configs, by Apache Kafka's names. Default: Apache Kafka's, but for `retention.bytes`, which is an
   * eighth of `maxLogBytes` here and unbounded there.
   */
  readonly topicDefaults?: Readonly<Record<string, string | number | boolean>>
  /** Settings of consumer groups. */
  readonly groups?: GroupOptions
  /**
   * Memory that all logs together may hold, in bytes. Near it, a topic without a `retention.bytes` of its own lets go of
   * its oldest records when it grows; where nothing may go, producers are refused with KAFKA_STORAGE_ERROR. No topic
   * loses a record to another one. Default 512 MiB.
   */
  readonly maxLogBytes?: number
  /** How often retention.ms and retention.bytes are applied, in ms (log.retention.check.interval.ms). Default 10000. */
  readonly retentionCheckMs?: number
  /**
   * Connections at once (max.connections). For one more, one that never said anything goes, or else the one that was
   * idle for the longest, if it was for 10 s; else the new one is refused. Default 1000.
   */
  readonly maxConnections?: number
  /** A connection without a request for so long is closed, in ms (connections.max.idle.ms). Default 600000. */
  readonly idleTimeoutMs?: number
  /** So long may a new connection be silent, or pass between two pieces of one request, in ms. Default 30000. */
  readonly requestTimeoutMs?: number
  /** Largest request, in bytes (socket.request.max.bytes). Default 100 MiB. */
  readonly maxRequestBytes?: number
  /**
   * Elements of all arrays in one request: a topic, a partition, a group's name. Each may take a byte on the wire and
   * hundreds in memory. A request with more costs its connection. Default 200000, twice the partitions that there can be.
   */
  readonly maxRequestElements?: number
  /** A compressed batch may unpack to so many bytes; a larger one is refused with MESSAGE_TOO_LARGE. Default 64 MiB. */
  readonly maxUnpackedBytes?: number
  /** Largest answer, in bytes without the records of a fetch. A larger one is not made and costs its connection. Default 64 MiB. */
  readonly maxResponseBytes?: number
  /** Bytes of answers that clients have not taken yet, of all connections; beyond it the one with the most is closed. Default 256 MiB. */
  readonly maxUnsentBytes?: number
  /**
   * Bytes of requests of all connections that were received and not handled yet (queued.max.request.bytes); beyond it
   * the connection with the most is closed. Default 256 MiB.
   */
  readonly maxQueuedBytes?: number
  /** Is told, a line at a time, what a client did wrong: connections closed for a cause. Default: nobody. */
  readonly report?: (line: string) => void
  /**
   * Is told, a line at a time and each matter once a minute, what whoever runs the broker has to act on: records dropped
   * and producers refused for want of memory, groups forgotten. Default: `report`, or process.emitWarning without one.
   */
  readonly warn?: (line: string) => void
}

/** The options with every default filled in. */
export interface BrokerSettings {
  readonly host: string
  readonly port: number
  readonly advertisedHost: string
  /** 0: the port that it listens at. */
  readonly advertisedPort: number
  readonly clusterId: string | undefined
  readonly nodeId: number
  readonly topics: readonly Required<TopicSpec>[]
  readonly autoCreateTopics: boolean
  readonly defaultPartitions: number
  readonly topicDefaults: ReadonlyMap<string, string>
  readonly groups: Required<GroupOptions>
  readonly maxLogBytes: number
  readonly retentionCheckMs: number
  readonly maxConnections: number
  readonly idleTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly maxRequestBytes: number
  readonly maxRequestElements: number
  readonly maxUnpackedBytes: number
  readonly maxResponseBytes: number
  readonly maxUnsentBytes: number
  readonly maxQueuedBytes: number
  readonly report: (line: string) => void
  readonly warn: (line: string) => void
}

const mebibyte = 1024 * 1024
const maxTimer = 2 ** 31 - 1

/** Name, default, least and greatest value of each number. */
const numbers = {
  port: [0, 0, 65_535],
  advertisedPort: [0, 0, 65_535],
  nodeId: [1, 0, maxTimer],
  defaultPartitions: [1, 1, 10_000],
  maxLogBytes: [512 * mebibyte, 64 * 1024, Number.MAX_SAFE_INTEGER],
  retentionCheckMs: [10_000, 10, maxTimer],
  maxConnections: [1000, 1, 1_000_000],
  idleTimeoutMs: [600_000, 10, maxTimer],
  requestTimeoutMs: [30_000, 10, maxTimer],
  maxRequestBytes: [100 * mebibyte, 1024, maxTimer],
  maxRequestElements: [200_000, 1000, maxTimer],
  maxUnpackedBytes: [64 * mebibyte, 1024, maxTimer],
  maxResponseBytes: [64 * mebibyte, 64 * 1024, maxTimer],
  maxUnsentBytes: [256 * mebibyte, 1024, Number.MAX_SAFE_INTEGER],
  maxQueuedBytes: [256 * mebibyte, 1024, Number.MAX_SAFE_INTEGER],
} as const

const otherNames = new Set([
  'host',
  'advertisedHost',
  'clusterId',
  'topics',
  'autoCreateTopics',
  'topicDefaults',
  'groups',
  'report',
  'warn',
])

/** One partition may hold this part of the logs' memory, an eighth, unless its topic says otherwise. */
const partitionShare = 8

/** The code of the error about options that are wrong. */
export const optionsInvalid = 'EMBEDDED_KAFKA_OPTIONS_INVALID'

/** One error that lists every problem. */
export function invalidOptions(problems: readonly string[]): RangeError & { readonly code: string } {
  return Object.assign(new RangeError(`embedded Kafka: ${problems.join('; ')}`), { code: optionsInvalid })
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** For messages: a number as it is, and of anything else what it is. */
function kindOf(value: unknown): string {
  if (typeof value === 'number' || value === null || value === undefined) return String(value)
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'an object'
  return `a ${typeof value}`
}

/** Fills in the defaults. @throws RangeError that names every option that is wrong, at once */
export function completeOptions(given: EmbeddedKafkaOptions): BrokerSettings {
  if (!isObject(given)) throw invalidOptions([`its options must be an object, not ${kindOf(given)}`])
  const problems: string[] = []
  for (const name of Object.keys(given)) {
    if (!(name in numbers) && !otherNames.has(name)) problems.push(`there is no option ${name}`)
  }
  const number = (name: keyof typeof numbers): number => {
    const [usual, least, greatest] = numbers[name]
    const value = given[name] ?? usual
    if (Number.isInteger(value) && value >= least && value <= greatest) return value
    problems.push(`${name} must be a whole number from ${least} to ${greatest}, not ${kindOf(value)}`)
    return usual
  }
  const unknown = problems.length
  const texts = ['host', 'advertisedHost', 'clusterId'] as const
  for (const name of texts) {
    const value: unknown = given[name]
    if (value !== undefined && (typeof value !== 'string' || value === ''))
      problems.push(`${name} must be a text that is not empty`)
  }
  const { autoCreateTopics, report, warn } = given
  if (autoCreateTopics !== undefined && typeof autoCreateTopics !== 'boolean')
    problems.push(`autoCreateTopics must be true or false, not ${kindOf(autoCreateTopics)}`)
  for (const [name, value] of Object.entries({ report, warn }))
    if (value !== undefined && typeof value !== 'function')
      problems.push(`${name} must be a function, not ${kindOf(value)}`)
  for (const name of ['topicDefaults', 'groups'] as const)
    if (given[name] !== undefined && !isObject(given[name]))
      problems.push(`${name} must be an object, not ${kindOf(given[name])}`)
  if (given.topics !== undefined && !Array.isArray(given.topics))
    problems.push(`topics must be a list, not ${kindOf(given.topics)}`)
  if (problems.length > unknown) throw invalidOptions(problems)
  const host = given.host ?? '127.0.0.1'
  const defaultPartitions = number('defaultPartitions')
  const maxLogBytes = number('maxLogBytes')
  const retentionBytes = Math.floor(maxLogBytes / partitionShare)
  const topicDefaults = configMap({ 'retention.bytes': retentionBytes, ...given.topicDefaults })
  for (const [name, value] of topicDefaults) {
    const definition = topicConfigTable.get(name)
    const problem =
      definition === undefined ? `unknown topic config ${name}` : configProblem(name, definition, value)
    if (problem !== undefined) problems.push(`topicDefaults: ${problem}`)
  }
  const topics = (given.topics ?? []).map((topic) => completeTopic(topic, defaultPartitions, problems))
  let groups: Required<GroupOptions> | undefined
  try {
    groups = completeGroupOptions(given.groups)
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
  }
  const settings = {
    host,
    port: number('port'),
    advertisedHost: given.advertisedHost ?? (host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host),
    advertisedPort: number('advertisedPort'),
    clusterId: given.clusterId,
    nodeId: number('nodeId'),
    topics,
    autoCreateTopics: given.autoCreateTopics ?? false,
    defaultPartitions,
    topicDefaults,
    maxLogBytes,
    retentionCheckMs: number('retentionCheckMs'),
    maxConnections: number('maxConnections'),
    idleTimeoutMs: number('idleTimeoutMs'),
    requestTimeoutMs: number('requestTimeoutMs'),
    maxRequestBytes: number('maxRequestBytes'),
    maxRequestElements: number('maxRequestElements'),
    maxUnpackedBytes: number('maxUnpackedBytes'),
    maxResponseBytes: number('maxResponseBytes'),
    maxUnsentBytes: number('maxUnsentBytes'),
    maxQueuedBytes: number('maxQueuedBytes'),
    report: given.report ?? (() => {}),
    warn: given.warn ?? given.report ?? warnProcess,
  }
  if (groups === undefined || problems.length > 0) {
    throw invalidOptions(problems)
  }
  return { ...settings, groups }
}

function warnProcess(line: string): void {
  process.emitWarning(line, 'EmbeddedKafkaWarning')
}

/** The usual form of a topic's short forms. What is wrong is added to `problems`. */
export function completeTopic(
  topic: TopicInput,
  defaultPartitions: number,
  problems: string[],
): Required<TopicSpec> {
  if (isObject(topic)) {
    problems.push(...problemsOfTopic(topic as TopicSpec))
    return { partitions: defaultPartitions, configs: {}, ...(topic as TopicSpec) }
  }
  if (typeof topic !== 'string') {
    problems.push(`a topic is a name, name:partitions or { name, partitions, configs }, not ${kindOf(topic)}`)
    return { name: '', partitions: 1, configs: {} }
  }
  const [name = '', partitions, ...rest] = topic.split(':')
  if (rest.length > 0 || (partitions !== undefined && !/^[1-9]\d{0,4}$/.test(partitions))) {
    problems.push(`topic "${topic}" is written name or name:partitions`)
  }
  return { name, partitions: partitions === undefined ? defaultPartitions : Number(partitions), configs: {} }
}

function problemsOfTopic(topic: TopicSpec): string[] {
  const problems = Object.keys(topic)
    .filter((name) => !topicNames.has(name))
    .map((name) => `a topic has no option ${name}`)
  const { name, partitions, configs } = topic
  if (typeof name !== 'string') problems.push(`a topic's name must be a text, not ${kindOf(name)}`)
  if (partitions !== undefined && !Number.isSafeInteger(partitions))
    problems.push(`a topic's partitions must be a whole number, not ${kindOf(partitions)}`)
  if (configs !== undefined && !isObject(configs))
    problems.push(`a topic's configs must be an object, not ${kindOf(configs)}`)
  return problems
}

const topicNames: ReadonlySet<string> = new Set<keyof TopicSpec>(['name', 'partitions', 'configs'])

/** Configs as the protocol has them, by name and as text. */
export function configMap(
  configs: Readonly<Record<string, string | number | boolean>>,
): ReadonlyMap<string, string> {
  return new Map(Object.entries(configs).map(([name, value]) => [name, String(value)]))
}
