/** Opening everything at once, and when an election is over as those see it who serve. */
import { createReplier } from '../../packages/request-reply/src/replier/replier.ts'
import { createRequester } from '../../packages/request-reply/src/requester/requester.ts'
import { defineOperation } from '../../packages/request-reply/src/contract/operation.ts'
import { json } from '../../packages/request-reply/src/contract/payload.ts'
import { replyPartition } from '../../packages/request-reply/src/routing/reply-partition.ts'
import { openKafka } from '../../packages/request-reply/src/transport/kafka/open-kafka.ts'
import { coordinatorAnswers, describeTopics } from '../../tools/kafka/inspect.ts'
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

export async function openAll(
  brokers: readonly string[],
  { requests, replies, group }: { requests: string; replies: string; group: string },
  closeLater: (close: () => Promise<unknown>) => void,
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
  const opening = await Promise.all([
    timed(createRequester({ kafka, replyRouting: replyPartition({ topic: replies }) })),
    timed(replier.start()),
    timed(openTail(brokers, requests, closeLater)),
  ])
  const [[requester, requesterTook], [, replierTook], [, tailTook]] = opening
  closeLater(() => requester.close())
  return {
    times: { requester: requesterTook, replier: replierTook, tail: tailTook },
    asks: async (value) => {
      const reply = await requester.request(echo, value, { timeout: patience })
      if (reply.value !== value) throw new Error(`answered with ${reply.value}`)
    },
  }
}

async function openTail(
  brokers: readonly string[],
  topic: string,
  closeLater: (close: () => Promise<unknown>) => void,
): Promise<void> {
  const transport = await openKafka({ brokers })
  closeLater(() => transport.close())
  await transport.tail({ topic, partitions: 'all', from: 'latest', onRecords: () => undefined })
}

/**
 * When (`performance.now()`) those that are left agreed that the victim leads nothing any more of these topics and of
 * the groups, every partition has a leader among them, and their coordinators answer.
 */
export async function electionAfter(
  victim: KafkaNode,
  others: readonly KafkaNode[],
  topics: readonly string[],
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
  const elected = performance.now()
  await waitFor(
    async () => (await Promise.all(others.map((node) => coordinatorAnswers(node.address)))).every(Boolean),
    { what: 'the coordinators that are left to answer', timeout: patience },
  )
  // What a coordinator had to load is part of the election; the looking is not.
  return Math.max(elected, performance.now())
}
