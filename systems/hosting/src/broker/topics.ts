/** The topics of a run: made before it, and deleted after it with what its processes have made of them. */
import { openKafka, type TopicSpec, type Transport } from '@milena/request-reply'
import { explainBrokers } from './explain.ts'

/** @throws StartError when the brokers cannot be used */
export function createTopics(brokers: string, topics: readonly TopicSpec[]): Promise<void> {
  return onCluster(brokers, (transport) => transport.createTopics([...topics]))
}

/** Deletes all whose name begins with `prefix`: retry topics and dead letters too. */
export function deleteTopics(brokers: string, prefix: string): Promise<void> {
  return onCluster(brokers, async (transport) => {
    const all = [...(await transport.describeTopics()).keys()]
    await transport.deleteTopics(all.filter((name) => name.startsWith(prefix)))
  })
}

async function onCluster(brokers: string, run: (transport: Transport) => Promise<void>): Promise<void> {
  await using transport = await explainBrokers(brokers, openKafka({ brokers: brokers.split(',') }))
  await run(transport)
}
