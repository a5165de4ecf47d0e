/** Brokers that a run can measure on. */
import { fileURLToPath } from 'node:url'
import { startKafka, type KafkaCluster } from '../../../tools/kafka/cluster.ts'
import { kafkaVersion } from '../../../tools/kafka/release.ts'
import { SideProcess } from '../run/side-process.ts'

export interface Brokers {
  /** As the report names them. */
  readonly name: string
  readonly addresses: readonly string[]
  /** What an acknowledged record stands on. */
  readonly durability: string
  /** Apache Kafka that is ours, whose nodes may be stopped and killed. */
  readonly cluster?: KafkaCluster
  close(): Promise<void>
}

/** A benchmark wants the full compiler; the heap is what a small machine can give three of them. */
const jvmOptions = ['-Xms512m', '-Xmx512m', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20']

export const brokerKinds: Readonly<Record<string, () => Promise<Brokers>>> = {
  embedded: startEmbedded,
  'kafka-1': () => startApacheKafka(1),
  'kafka-3': () => startApacheKafka(3),
}

export function givenBrokers(addresses: string): Brokers {
  return {
    name: addresses,
    addresses: addresses.split(','),
    durability: 'acks=all; replication as the cluster has it',
    close: async () => {},
  }
}

async function startEmbedded(): Promise<Brokers> {
  const entry = fileURLToPath(new URL('embedded-process.ts', import.meta.url))
  const child = await SideProcess.start(
    process.execPath,
    ['--conditions=x-source', entry],
    'the embedded broker',
  )
  return {
    name: 'embedded broker',
    addresses: [child.address],
    durability: 'memory of one process',
    close: () => child.close(),
  }
}

async function startApacheKafka(count: 1 | 3): Promise<Brokers> {
  const cluster = await startKafka({ brokers: count, jvmOptions })
  return {
    name: `Apache Kafka ${kafkaVersion}, ${count} broker${count === 1 ? '' : 's'}`,
    addresses: cluster.brokers,
    durability: count === 1 ? 'acks=all, RF 1' : 'acks=all, RF 3, min.insync 2',
    cluster,
    close: () => cluster.close(),
  }
}
