/** Numbers of the types as DescribeConfigs tells them. */
export type ConfigType = 'boolean' | 'string' | 'int' | 'long' | 'double' | 'list'

export interface ConfigDefinition {
  readonly type: ConfigType
  /** Apache Kafka 4's default. */
  readonly default: string
  readonly min?: number
  readonly max?: number
  /** The values that it may have, of each element for a list. */
  readonly values?: readonly string[]
}

/** As long as the protocol's older strings may be. */
const longestValue = 32_767
const maxInt = 2_147_483_647
const maxLong = '9223372036854775807'

/**
 * Every topic config of Apache Kafka 4 (org.apache.kafka.common.config.TopicConfig). The broker keeps and describes
 * all of them. These have an effect: cleanup.policy (as far as `compact` alone keeps records from being deleted;
 * nothing is compacted, though its records need keys), max.message.bytes, message.timestamp.type,
 * message.timestamp.after.max.ms and .before.max.ms, retention.bytes and retention.ms. One replica is all there is, so min.insync.replicas is kept and never in the way.
 */
export const topicConfigTable: ReadonlyMap<string, ConfigDefinition> = new Map(
  Object.entries({
    'cleanup.policy': { type: 'list', default: 'delete', values: ['delete', 'compact'] },
    'compression.gzip.level': { type: 'int', default: '-1', min: -1, max: 9 },
    'compression.lz4.level': { type: 'int', default: '9', min: 1, max: 17 },
    'compression.type': {
      type: 'string',
      default: 'producer',
      values: ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'],
    },
    'compression.zstd.level': { type: 'int', default: '3', min: -131_072, max: 22 },
    'delete.retention.ms': { type: 'long', default: '86400000', min: 0 },
    'file.delete.delay.ms': { type: 'long', default: '60000', min: 0 },
    'flush.messages': { type: 'long', default: maxLong, min: 1 },
    'flush.ms': { type: 'long', default: maxLong, min: 0 },
    'follower.replication.throttled.replicas': { type: 'list', default: '' },
    'index.interval.bytes': { type: 'int', default: '4096', min: 0, max: maxInt },
    'leader.replication.throttled.replicas': { type: 'list', default: '' },
    'local.retention.bytes': { type: 'long', default: '-2', min: -2 },
    'local.retention.ms': { type: 'long', default: '-2', min: -2 },
    'max.compaction.lag.ms': { type: 'long', default: maxLong, min: 1 },
    'max.message.bytes': { type: 'int', default: '1048588', min: 0, max: maxInt },
    'message.timestamp.after.max.ms': { type: 'long', default: '3600000', min: 0 },
    'message.timestamp.before.max.ms': { type: 'long', default: maxLong, min: 0 },
    'message.timestamp.type': {
      type: 'string',
      default: 'CreateTime',
      values: ['CreateTime', 'LogAppendTime'],
    },
    'min.cleanable.dirty.ratio': { type: 'double', default: '0.5', min: 0, max: 1 },
    'min.compaction.lag.ms': { type: 'long', default: '0', min: 0 },
    'min.insync.replicas': { type: 'int', default: '1', min: 1, max: maxInt },
    preallocate: { type: 'boolean', default: 'false' },
    'remote.log.copy.disable': { type: 'boolean', default: 'false' },
    'remote.log.delete.on.disable': { type: 'boolean', default: 'false' },
    'remote.storage.enable': { type: 'boolean', default: 'false' },
    'retention.bytes': { type: 'long', default: '-1', min: -1 },
    'retention.ms': { type: 'long', default: '604800000', min: -1 },
    'segment.bytes': { type: 'int', default: '1073741824', min: 14, max: maxInt },
    'segment.index.bytes': { type: 'int', default: '10485760', min: 4, max: maxInt },
    'segment.jitter.ms': { type: 'long', default: '0', min: 0 },
    'segment.ms': { type: 'long', default: '604800000', min: 1 },
    'unclean.leader.election.enable': { type: 'boolean', default: 'false' },
  } satisfies Record<string, ConfigDefinition>),
)

/** What is wrong with a value, or undefined if nothing is. */
export function configProblem(name: string, definition: ConfigDefinition, value: string): string | undefined {
  const { type, values, min = -Infinity, max = Infinity } = definition
  if (value.length > longestValue) {
    return `${name} has ${value.length} characters, ${longestValue} are allowed`
  }
  if (type === 'boolean') {
    return value === 'true' || value === 'false' ? undefined : `${name} is true or false, not "${value}"`
  }
  if (type === 'string' || type === 'list') {
    const elements = type === 'list' ? listElements(value) : [value]
    if (values === undefined || elements.every((element) => values.includes(element))) return undefined
    return `${name} is ${values.join(', ')}, not "${value}"`
  }
  const pattern = type === 'double' ? /^-?\d+(\.\d+)?$/ : /^-?\d+$/
  const number = Number(value)
  if (pattern.test(value) && number >= min && number <= max) return undefined
  const range = max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`
  return `${name} is a number ${range}, not "${value}"`
}

export function listElements(value: string): string[] {
  return value
    .split(',')
    .map((element) => element.trim())
    .filter((element) => element !== '')
}
