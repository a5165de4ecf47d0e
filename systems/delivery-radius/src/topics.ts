/** The topics of a run: made before it, and deleted after it. */
import { explainBrokers } from '@milena/hosting'
import { openKafka, type Transport } from '@milena/request-reply'
import { namesOf, partitions } from './domain/messages.ts'

export function topicsOf(prefix: string): readonly string[] {
  const { topic, replyTopic } = namesOf(prefix)
  return [topic, replyTopic]
}

export function createTopics(brokers: string, prefix: string): Promise<void> {
  return onCluster(brokers, (transport) =>
    transport.createTopics(topicsOf(prefix).map((name) => ({ name, partitions }))),
  )
}

export function deleteTopics(brokers: string, prefix: string): Promise<void> {
  return onCluster(brokers, (transport) => transport.deleteTopics(topicsOf(prefix)))
}

async function onCluster(brokers: string, run: (transport: Transport) => Promise<void>): Promise<void> {
  await using transport = await explainBrokers(brokers, openKafka({ brokers: brokers.split(',') }))
  await run(transport)
}
