/** Entry: the embedded broker as a process of its own. */
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import { runChild } from '../process/child.ts'
import type { BrokerConfig, BrokerFacts } from './entry.ts'

runChild(async ({ port }: BrokerConfig) => {
  const broker = await startEmbeddedKafka({ port })
  const facts: BrokerFacts = { brokers: String(broker.brokers) }
  return { facts, close: () => broker.close() }
})
