import type { ConfigType } from '../log/topic-config-table.ts'
import { topicConfigTable } from '../log/topic-config-table.ts'
import type { BrokerSettings } from '../options.ts'
import { configSources } from './topic-config-sources.ts'
import type { DescribedConfig } from './topic-config-sources.ts'

/** The broker's settings under Apache Kafka's names. None can be altered while it runs. */
export function brokerConfigs(settings: BrokerSettings): DescribedConfig[] {
  const topicDefault = (name: string): string =>
    settings.topicDefaults.get(name) ?? topicConfigTable.get(name)?.default ?? ''
  const { groups } = settings
  const configs: readonly (readonly [name: string, type: ConfigType, value: string | number | boolean])[] = [
    ['auto.create.topics.enable', 'boolean', settings.autoCreateTopics],
    ['compression.type', 'string', topicDefault('compression.type')],
    ['connections.max.idle.ms', 'long', settings.idleTimeoutMs],
    ['default.replication.factor', 'int', 1],
    ['delete.topic.enable', 'boolean', true],
    ['group.initial.rebalance.delay.ms', 'int', groups.initialRebalanceDelayMs],
    ['group.max.session.timeout.ms', 'int', groups.maxSessionTimeoutMs],
    ['group.max.size', 'int', groups.maxGroupSize],
    ['group.min.session.timeout.ms', 'int', groups.minSessionTimeoutMs],
    ['log.cleanup.policy', 'list', topicDefault('cleanup.policy')],
    ['log.message.timestamp.type', 'string', topicDefault('message.timestamp.type')],
    ['log.retention.bytes', 'long', topicDefault('retention.bytes')],
    ['log.retention.check.interval.ms', 'long', settings.retentionCheckMs],
    ['log.retention.ms', 'long', topicDefault('retention.ms')],
    ['max.connections', 'int', settings.maxConnections],
    ['message.max.bytes', 'int', topicDefault('max.message.bytes')],
    ['min.insync.replicas', 'int', topicDefault('min.insync.replicas')],
    ['node.id', 'int', settings.nodeId],
    ['num.partitions', 'int', settings.defaultPartitions],
    ['offset.metadata.max.bytes', 'int', groups.maxOffsetMetadataBytes],
    ['offsets.retention.check.interval.ms', 'long', groups.emptyGroupCheckMs],
    ['offsets.retention.minutes', 'int', Math.ceil(groups.offsetsRetentionMs / 60_000)],
    ['queued.max.request.bytes', 'long', settings.maxQueuedBytes],
    ['socket.request.max.bytes', 'int', settings.maxRequestBytes],
  ]
  const { brokerStatic } = configSources
  return configs.map(([name, type, value]) => ({
    name,
    value: String(value),
    source: brokerStatic,
    type,
    readOnly: true,
  }))
}
