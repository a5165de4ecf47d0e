import type { Transport } from '../transport.ts'
import type { KafkaOptions } from './options.ts'

/**
 * Opens a transport over Apache Kafka, to be shared by requesters and repliers; see `KafkaTransport`'s `openKafka` for
 * the errors. The Kafka client is imported only now: that takes more than half a second.
 */
export async function openKafka(options: KafkaOptions): Promise<Transport> {
  const adapter = await import('./kafka-transport.ts')
  return adapter.openKafka(options)
}
