/** A journal on a requester with several reply topics. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Recovered } from '../src/requester/recovered.ts'
import { createMemoryJournal } from '../src/journal/memory-journal.ts'
import { createRequester } from '../src/requester/requester.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import type { ReplyRouting } from '../src/routing/routing.ts'
import { sharedReplyTopic } from '../src/routing/shared-reply-topic.ts'
import { createMemoryBroker } from '../src/transport/memory/broker.ts'
import { answering } from '../src/testing/answering.ts'
import { echo, opened, StagedRouting, until } from './requesting.ts'

/** A process that can be killed, and started again. */
async function world() {
  const topics = ['requests', 'replies', 'other_replies'].map((name) => ({ name, partitions: 4 }))
  const broker = createMemoryBroker({ topics })
  const store = createMemoryJournal()
  const connection = broker.connect()
  const far = await answering(connection, 'requests', () => undefined)
  opened.push(connection, far)
  return {
    far,
    store,
    answer: async (text: string) => {
      const request = far.requests.find(({ value }) => String(value) === text)!
      await far.answer(request, { value: Buffer.from(`did ${text}`) })
    },
    start: async (replyRouting: readonly ReplyRouting[]) => {
      const recovered: Recovered[] = []
      const transport = broker.connect()
      const requester = await createRequester({
        transport,
        instanceId: 'gateway-1',
        replyRouting,
        drainTimeout: 0,
        journal: { store, operations: [echo], onRecovered: (each) => void recovered.push(each) },
      })
      opened.push(transport, requester)
      return {
        requester,
        told: () =>
          Object.fromEntries(
            recovered.map(({ request, reply, error }) => [
              String(request),
              reply === undefined ? error!.code : String(reply.value),
            ]),
          ),
        kill: () => {
          store.kill('gateway-1')
          transport.kill()
        },
      }
    },
  }
}

const real = (): readonly ReplyRouting[] => [
  replyPartition({ topic: 'replies', partition: 2 }),
  sharedReplyTopic({ topic: 'other_replies' }),
]

test('what a dead process had accepted is finished in each of its reply topics', async () => {
  const { far, store, answer, start } = await world()
  const first = await start(real())
  const replyTopics = { one: undefined, two: 'other_replies', three: 'other_replies', four: 'replies' }
  for (const [text, replyTopic] of Object.entries(replyTopics)) {
    const asked = first.requester.request(echo, Buffer.from(text), { replyTopic, timeout: 60_000 })
    asked.catch(() => undefined)
  }
  await until(() => far.requests.length === 4)
  first.kill()
  await answer('one')
  await answer('two')
  const second = await start(real())
  await until(() => Object.keys(second.told()).length === 2)
  await answer('three')
  await answer('four')
  await until(() => Object.keys(second.told()).length === 4)
  assert.deepEqual(second.told(), { one: 'did one', two: 'did two', three: 'did three', four: 'did four' })
  assert.deepEqual(store.entries('gateway-1'), [])
})

test('a reply topic that cannot be read yet holds up no recovered request of another', async () => {
  const { far, answer, start } = await world()
  const partitions = ['replies', 'other_replies'].map((topic) => replyPartition({ topic, partition: 2 }))
  const first = await start(partitions)
  for (const replyTopic of ['replies', 'other_replies'])
    first.requester
      .request(echo, Buffer.from(replyTopic), { replyTopic, timeout: 2_000 })
      .catch(() => undefined)
  await until(() => far.requests.length === 2)
  first.kill()
  const sick = new StagedRouting('other_replies')
  sick.positions = [{ topic: 'other_replies', partition: 2, offset: 0 }]
  const read = Promise.withResolvers<void>()
  sick.caughtUp = () => read.promise
  const second = await start([partitions[0]!, sick])
  await until(() => Object.keys(second.told()).length > 0)
  assert.deepEqual(second.told(), { replies: 'MILENA_TIMEOUT' })
  await answer('other_replies')
  read.resolve()
  await until(() => Object.keys(second.told()).length === 2)
})
