/** Opening everything at once, and when an election is over as those see it who serve. */
import { createReplier } from '../../packages/request-reply/src/replier/replier.ts'
import { createRequester, type Requester } from '../../packages/request-reply/src/requester/requester.ts'
import { defineOperation } from '../../packages/request-reply/src/contract/operation.ts'
import { json } from '../../packages/request-reply/src/contract/payload.ts'
import { replyPartition } from '../../packages/request-reply/src/routing/reply-partition.ts'
import { openKafka } from '../../packages/request-reply/src/transport/kafka/open-kafka.ts'
import {
  Connections,
  type BrokerPool,
} from '../../packages/request-reply/src/transport/kafka/connection/connections.ts'
import { findCoordinator } from '../../packages/request-reply/src/transport/kafka/cluster/coordinator.ts'
import { Metadata } from '../../packages/request-reply/src/transport/kafka/cluster/metadata.ts'
import { resolveKafkaOptions } from '../../packages/request-reply/src/transport/kafka/options.ts'
import { initProducerIdApi } from '../../packages/request-reply/src/transport/kafka/protocol/init-producer-id.ts'
import { offsetFetchApi } from '../../packages/request-reply/src/transport/kafka/protocol/offset-fetch.ts'
import { describeTopics } from '../../tools/kafka/inspect.ts'
import type { KafkaNode } from '../../tools/kafka/node.ts'
import { waitFor } from '../support/wait-for.ts'

/** Milliseconds from the call until each was open. */
export interface OpeningTimes {
  readonly requester: number
  readonly replier: number
  readonly tail: number
}

export interface Opened {
  readonly times: OpeningTimes
  /** A request of the requester's is answered by the replier. */
  asks(value: string): Promise<void>
}

/** Only bounds a hang. */
const patience = 120_000

/** Whatever is opened, also beside something that cannot be, is closed later. */
export async function openAll(
  brokers: readonly string[],
  { requests, replies, group }: { requests: string; replies: string; group: string },
  closeLater: CloseLater,
): Promise<Opened> {
  const began = performance.now()
  const timed = async <Value>(opening: Promise<Value>): Promise<[Value, number]> => {
    const opened = await opening
    return [opened, performance.now() - began]
  }
  const kafka = { brokers }
  const echo = defineOperation({
    name: 'echo',
    topic: requests,
    request: json<string>(),
    reply: json<string>(),
  })
  const replier = createReplier({ kafka, groupId: group })
  replier.handle(echo, (value) => value)
  closeLater(() => replier.close())
  const opening = [
    timed(openRequester(kafka, replies, closeLater)),
    timed(replier.start()),
    timed(openTail(brokers, requests, closeLater)),
  ] as const
  await Promise.allSettled(opening)
  const [[requester, requesterTook], [, replierTook], [, tailTook]] = await Promise.all(opening)
  return {
    times: { requester: requesterTook, replier: replierTook, tail: tailTook },
    asks: async (value) => {
      const reply = await requester.request(echo, value, { timeout: patience })
      if (reply.value !== value) throw new Error(`answered with ${reply.value}`)
    },
  }
}

type CloseLater = (close: () => Promise<unknown>) => void

async function openRequester(
  kafka: { brokers: readonly string[] },
  topic: string,
  closeLater: CloseLater,
): Promise<Requester> {
  const requester = await createRequester({ kafka, replyRouting: replyPartition({ topic }) })
  closeLater(() => requester.close())
  return requester
}

async function openTail(brokers: readonly string[], topic: string, closeLater: CloseLater): Promise<void> {
  const transport = await openKafka({ brokers })
  closeLater(() => transport.close())
  await transport.tail({ topic, partitions: 'all', from: 'latest', onRecords: () => undefined })
}

/**
 * When (`performance.now()`) those that are left agreed that the victim leads nothing any more of these topics and of
 * the groups, every partition has a leader among them, and these groups' coordinators serve them.
 */
export async function electionAfter(
  victim: KafkaNode,
  others: readonly KafkaNode[],
  topics: readonly string[],
  groups: readonly string[],
): Promise<number> {
  const names = [...topics, '__consumer_offsets']
  await waitFor(
    async () => {
      const views = await Promise.all(others.map((node) => describeTopics(node.address, names)))
      const partitions = views.flatMap((view) => view.topics.flatMap((topic) => topic.partitions))
      return partitions.every((one) => one.leaderId >= 0 && one.leaderId !== victim.id)
    },
    { what: `broker ${victim.id} to lead nothing any more`, timeout: patience, interval: 50 },
  )
  // A broker leads before it has loaded what it coordinates.
  return withCluster(others, async (metadata, pool) => {
    const serves = async (groupId: string): Promise<boolean> => {
      const coordinator = await findCoordinator(metadata, groupId)
      const connection = await pool.get(coordinator)
      const answer = await connection.ask(offsetFetchApi, {
        groupId,
        partitions: undefined,
        requireStable: false,
      })
      return answer?.errorCode === 0
    }
    await waitFor(async () => (await Promise.all(groups.map(serves))).every(Boolean), {
      what: `the coordinators of ${groups.join(' and ')} to serve them`,
      timeout: patience,
      interval: 50,
    })
    return performance.now()
  })
}

/**
 * Has each of these brokers fetch producer ids, as those have that serve producers. One that has none in stock asks the
 * controller that it knows, and waits 30 s for one that hangs (`controller.socket.timeout.ms`), whoever controls by then:
 * nobody else gets to send anything meanwhile.
 */
export async function stockProducerIds(nodes: readonly KafkaNode[]): Promise<void> {
  await withCluster(nodes, async (_metadata, pool) => {
    for (const { port } of nodes) {
      const gives = async (): Promise<boolean> => {
        const connection = await pool.get({ host: '127.0.0.1', port })
        return (await connection.ask(initProducerIdApi, { timeout: patience })).errorCode === 0
      }
      await waitFor(gives, { what: `producer ids of broker ${port}`, timeout: patience })
    }
  })
}

async function withCluster<Result>(
  nodes: readonly KafkaNode[],
  use: (metadata: Metadata, pool: BrokerPool) => Promise<Result>,
): Promise<Result> {
  const connections = new Connections(resolveKafkaOptions({ brokers: nodes.map((node) => node.address) }))
  const metadata = new Metadata(connections)
  try {
    return await use(metadata, connections.open())
  } finally {
    await metadata.close()
    await connections.close()
  }
}
