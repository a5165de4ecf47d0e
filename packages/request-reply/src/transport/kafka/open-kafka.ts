import type { Transport } from '../transport.ts'
import type { KafkaOptions } from './options.ts'

/**
 * Opens a transport over Apache Kafka, to be shared by requesters and repliers; see `KafkaTransport`'s `openKafka` for
 * the errors. What speaks to brokers is imported only now: who uses another transport does without it, and without Node's
 * TLS and compression.
 */
export async function openKafka(options: KafkaOptions): Promise<Transport> {
  const adapter = await import('./kafka-transport.ts')
  return adapter.openKafka(options)
}
