import { setTimeout as sleep } from 'node:timers/promises'
import { coordinatorAnswers, describeTopics, findCoordinator } from './inspect.ts'
import type { KafkaNode } from './node.ts'

/** Long, because three JVMs may start on a small busy machine; a node that dies is noticed at once all the same. */
const readyLimit = 180_000
const pollInterval = 100
const internalTopics = ['__consumer_offsets', '__transaction_state']

/** Resolves when every broker lists every other, the internal topics exist in sync, and coordinators answer. */
export async function awaitReady(nodes: readonly KafkaNode[]): Promise<void> {
  await until(nodes, 'every broker lists every other', async () => {
    const views = await Promise.all(nodes.map((node) => describeTopics(node.address, [])))
    return views.every((view) => view.brokers.length === nodes.length)
  })
  // Asking for a coordinator is what makes a broker create these topics.
  const first = nodes[0]!.address
  await until(nodes, 'the internal topics are there', async () => {
    const kinds = ['group', 'transaction'] as const
    const found = await Promise.all(kinds.map((kind) => findCoordinator(first, kind, 'milena-ready')))
    return found.every((id) => id !== undefined)
  })
  await until(nodes, 'the internal topics are in sync', async () => {
    // By name: a broker that has not heard of one yet leaves it out of a list of all topics.
    const views = await Promise.all(nodes.map((node) => describeTopics(node.address, internalTopics)))
    const topics = views.flatMap((view) => view.topics)
    const partitions = topics.flatMap((topic) => topic.partitions)
    return (
      topics.every((topic) => topic.errorCode === 0 && topic.partitions.length > 0) &&
      partitions.every((p) => p.leaderId >= 0 && p.isrNodes.length === p.replicaNodes.length)
    )
  })
  await until(nodes, 'the group coordinators answer', async () => {
    const answers = await Promise.all(nodes.map((node) => coordinatorAnswers(node.address)))
    return answers.every(Boolean)
  })
}

/** Resolves when this node, started again, is a member of the cluster and in sync with all it has replicas of. */
export async function awaitMember(node: KafkaNode): Promise<void> {
  await until([node], 'it is back in the cluster and in sync', async () => {
    const view = await describeTopics(node.address, null)
    const replicas = view.topics.flatMap((t) => t.partitions.filter((p) => p.replicaNodes.includes(node.id)))
    const listed = view.brokers.some((broker) => broker.nodeId === node.id)
    return listed && replicas.every((p) => p.isrNodes.includes(node.id))
  })
}

/** Asks again until the answer is yes; an error of the asking counts as not yet, a dead node ends it. */
async function until(
  nodes: readonly KafkaNode[],
  what: string,
  condition: () => Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + readyLimit
  let lastError: unknown
  for (;;) {
    const dead = nodes.find((node) => !node.running)
    if (dead) {
      throw new Error(
        `Kafka node ${dead.id} did not come up: ${dead.lastExit}. Its log says:\n${dead.problems()}`,
      )
    }
    const met = await condition().catch((error: unknown) => {
      lastError = error
      return false
    })
    if (met) return
    if (Date.now() > deadline) {
      const logs = nodes.map((node) => node.logFile).join(', ')
      throw new Error(`Kafka is not ready after ${readyLimit} ms: waited until ${what} (logs: ${logs})`, {
        cause: lastError,
      })
    }
    await sleep(pollInterval)
  }
}
