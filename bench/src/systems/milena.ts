import { setTimeout as sleep } from 'node:timers/promises'
import {
  bytes,
  createReplier,
  createRequester,
  defineOperation,
  instanceReplyTopic,
  json,
  replyPartition,
  sharedReplyTopic,
  type Operation,
  type ReplyRouting,
  type Requester,
} from '@milena/request-reply'
import { z } from 'zod'
import type { Asker, BenchSystem, SidePlan } from '../system.ts'

type Route = (topic: string) => ReplyRouting

/** What travels, and how it is told that an echo is one. */
interface Content<Input, Output extends Input> {
  readonly format: ReturnType<typeof json<Input, Output>>
  make(bytes: number): Input
  isEcho(reply: Output, value: Input): boolean
}

const buffers: Content<Buffer, Buffer> = {
  format: bytes() as Content<Buffer, Buffer>['format'],
  make: (length) => Buffer.alloc(length, 'm'),
  isEcho: (reply, value) => reply.equals(value),
}

const documentSchema = z.object({ orderId: z.string(), amount: z.number(), note: z.string() })

const documents: Content<z.input<typeof documentSchema>, z.output<typeof documentSchema>> = {
  format: json(documentSchema),
  make: (length) => ({ orderId: 'o-123456', amount: 9900, note: 'n'.repeat(Math.max(0, length - 46)) }),
  isEcho: (reply, value) => reply.orderId === value.orderId && reply.note.length === value.note.length,
}

const ownPartition: Route = (topic) => replyPartition({ topic })
const ownTopic: Route = (topic) => instanceReplyTopic({ prefix: `${topic}_` })
const sharedTopic: Route = (topic) => sharedReplyTopic({ topic })

export const replyPartitionBytes: BenchSystem = milena('Milena replyPartition, bytes', ownPartition, buffers)
export const instanceReplyTopicBytes: BenchSystem = milena(
  'Milena instanceReplyTopic, bytes',
  ownTopic,
  buffers,
)
export const sharedReplyTopicBytes: BenchSystem = milena(
  'Milena sharedReplyTopic, bytes',
  sharedTopic,
  buffers,
)
/** JSON that is validated on both sides, request and reply. */
export const replyPartitionJson: BenchSystem = milena('Milena replyPartition, JSON', ownPartition, documents)

function milena<Input, Output extends Input>(
  name: string,
  route: Route,
  content: Content<Input, Output>,
): BenchSystem {
  const { format } = content

  function operations({ setting, topics }: SidePlan): Operation<Input, Output, Input, Output>[] {
    return Array.from({ length: setting.operations }, (_, n) =>
      defineOperation({
        name: `echo-${n}`,
        topic: topics.requests,
        request: format,
        reply: format,
        timeout: 60_000,
      }),
    )
  }

  return {
    name,
    durability: 'durable',
    server: 'kafka',
    sides: {
      async openAsker(plan) {
        const open = (): Promise<Requester> =>
          createRequester({ kafka: { brokers: plan.brokers }, replyRouting: route(plan.topics.replies) })
        const echoes = operations(plan)
        const value = content.make(plan.setting.payloadBytes)
        let turn = 0
        return askThrough(await openMany(open, plan.setting.requesters), open, async (requester) => {
          const reply = await requester.request(echoes[turn++ % echoes.length]!, value)
          if (!content.isEcho(reply.value, value)) throw new Error(`${name}: the reply is not the request`)
        })
      },
      async openAnswerer(plan) {
        const { topics, setting, brokers } = plan
        const replier = createReplier({
          kafka: { brokers },
          groupId: `${topics.requests}-group`,
          replyTopics: [`${topics.replies}*`],
        })
        const wait = setting.handlerMilliseconds
        for (const operation of operations(plan)) {
          replier.handle(operation, wait === 0 ? (request) => request : (request) => sleep(wait, request))
        }
        await replier.start()
        return replier
      },
    },
  }
}

/** Requests take turns over the requesters that are open. */
function askThrough(
  requesters: Requester[],
  open: () => Promise<Requester>,
  request: (requester: Requester) => Promise<void>,
): Asker {
  let turn = 0
  return {
    ask: () => request(requesters[turn++ % requesters.length]!),
    egress: () =>
      requesters
        .map((requester) => requester.stats())
        .reduce(
          (sum, stats) => ({
            bytesRead: sum.bytesRead + stats.bytesRead,
            ownBytesRead: sum.ownBytesRead + stats.ownBytesRead,
          }),
          { bytesRead: 0, ownBytesRead: 0 },
        ),
    async scale(count) {
      // Without place in the list it gets no more requests; close() waits for the replies that are out.
      const leaving = requesters.splice(count)
      await Promise.all(leaving.map((requester) => requester.close()))
      requesters.push(...(await openMany(open, count - requesters.length)))
    },
    async close() {
      await Promise.all(requesters.map((requester) => requester.close()))
    },
  }
}

/** One after the other, as instances of a service start. */
async function openMany(open: () => Promise<Requester>, count: number): Promise<Requester[]> {
  const opened: Requester[] = []
  for (let n = 0; n < count; n++) opened.push(await open())
  return opened
}
