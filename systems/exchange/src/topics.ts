/** The topics of a run: made before it, and deleted after it with what the services have made of them. */
import { explainBrokers } from '@milena/hosting'
import { openKafka, type Transport } from '@milena/request-reply'
import { accountServices, defineCommands } from './operations.ts'

const partitions = 6

/** Those of commands and of replies. */
export function topicsOf(prefix: string): readonly string[] {
  return accountServices.flatMap((service) => {
    const { requestTopic, responseTopic } = defineCommands(prefix)[service]
    return [requestTopic, responseTopic]
  })
}

export function createTopics(brokers: string, prefix: string): Promise<void> {
  return onCluster(brokers, (transport) =>
    transport.createTopics(topicsOf(prefix).map((name) => ({ name, partitions }))),
  )
}

/** Deletes all whose name begins with `prefix`: dead letters too. */
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
