import { topicConfigTable } from '../log/topic-config-table.ts'
import type { ConfigType } from '../log/topic-config-table.ts'
import type { TopicConfigs } from '../log/topic-configs.ts'

/** What has configs, by the protocol's numbers (org.apache.kafka.common.config.ConfigResource.Type). */
export const configResources = { topic: 2, broker: 4 } as const

/** Where a value comes from, by the protocol's numbers (DescribeConfigsResponse.ConfigSource). */
export const configSources = { topic: 1, brokerStatic: 4, default: 5 } as const

export interface DescribedConfig {
  readonly name: string
  readonly value: string
  readonly source: number
  readonly type: ConfigType
  readonly readOnly: boolean
}

/** Every config of a topic with the value in effect, by name. */
export function topicConfigSources(configs: TopicConfigs): DescribedConfig[] {
  return [...topicConfigTable].map(([name, { type }]) => ({
    name,
    value: configs.get(name),
    source: sourceOf(configs, name),
    type,
    readOnly: false,
  }))
}

function sourceOf(configs: TopicConfigs, name: string): number {
  if (configs.has(name)) return configSources.topic
  return configs.hasBrokerDefault(name) ? configSources.brokerStatic : configSources.default
}
