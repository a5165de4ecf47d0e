import { openKafka, type Transport } from '@milena/request-reply'
import { startKafka } from '../../tools/kafka/cluster.ts'

/** What a test of other clients runs on. */
export interface InteropBrokers extends AsyncDisposable {
  /** `host:port` of each. */
  readonly brokers: string[]
  /** For what a test does beside: making topics, reading what stands in them. */
  readonly transport: Transport
}

/**
 * The cluster that `npm test` has started for all of these tests (`KAFKA_BROKERS`); without one, Apache Kafka of the
 * file's own. To be closed in an `after` hook. Topics stay: their names are to be unique, or removed by the test.
 */
export async function openBrokers(): Promise<InteropBrokers> {
  const named = (process.env['KAFKA_BROKERS'] ?? '').split(',').filter((broker) => broker !== '')
  const cluster = named.length > 0 ? undefined : await startKafka({ brokers: 1 })
  const brokers = cluster?.brokers ?? named
  try {
    const transport = await openKafka({ brokers })
    return {
      brokers,
      transport,
      async [Symbol.asyncDispose]() {
        await transport.close()
        await cluster?.close()
      },
    }
  } catch (error) {
    await cluster?.close()
    throw error
  }
}
