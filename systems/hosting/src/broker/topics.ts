/** The topics of a run: made before it, and deleted after it with what its processes have made of them. */
import { openKafka, type TopicSpec, type Transport } from '@milena/request-reply'
import { StartError } from '../process/start-error.ts'
import { explainBrokers } from './explain.ts'

/** @throws StartError when the brokers cannot be used, or one of the topics is another run's; then none is made */
export function createTopics(brokers: string, topics: readonly TopicSpec[]): Promise<void> {
  return onCluster(brokers, async (transport) => {
    const [taken] = (await transport.describeTopics(topics.map(({ name }) => name))).keys()
    if (taken !== undefined)
      throw new StartError(`the topic ${taken} is there already: choose another --prefix, or delete it`)
    await transport.createTopics([...topics])
  })
}

/** Deletes them, with the retry topics and dead letters that are named after them. */
export function deleteTopics(brokers: string, topics: readonly string[]): Promise<void> {
  return onCluster(brokers, async (transport) => {
    const all = [...(await transport.describeTopics()).keys()]
    await transport.deleteTopics(
      all.filter((name) => topics.some((topic) => name === topic || name.startsWith(`${topic}-`))),
    )
  })
}

async function onCluster(brokers: string, run: (transport: Transport) => Promise<void>): Promise<void> {
  await using transport = await explainBrokers(brokers, openKafka({ brokers: brokers.split(',') }))
  await run(transport)
}
