/** Many at once on real brokers: the page's code as it stands, and a replier that goes and comes while items are requested. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  batchHandler,
  createReplier,
  createRequester,
  defineOperation,
  json,
  replyPartition,
  type Replier,
} from '@milena/request-reply'
import { openTestCluster, uniqueName, type TestCluster } from '../support/cluster.ts'
import { runPage } from '../support/run-page.ts'

let cluster: TestCluster
before(async () => {
  cluster = await openTestCluster()
})
after(async () => {
  await cluster?.close()
})

test('the code of docs/many.md prints what the page says', async () => {
  const topics = ['shop_request', 'shop_reply']
  await runPage(cluster, { page: 'docs/many.md', block: 0, topics })
})

test('each of many items has its result while repliers go and come, and items of a key are handled in their order', async () => {
  const topic = await cluster.createTopic('many_request', { partitions: 6 })
  const replyTopic = await cluster.createTopic('many_reply', { partitions: 4 })
  const kafka = { brokers: cluster.brokers }
  const groupId = uniqueName('many')
  const operation = defineOperation({
    name: 'step',
    topic,
    request: json<{ readonly key: string; readonly step: number }>(),
    reply: json<number>(),
    key: ({ key }) => key,
    timeout: 60_000,
  })
  /** Of each key, the steps in the order in which they were done first. */
  const done = new Map<string, number[]>()
  const start = async (): Promise<Replier> => {
    const replier = createReplier({ kafka, groupId, concurrency: 200, replyTopics: [replyTopic] })
    replier.handle(
      operation,
      batchHandler(async (requests) => {
        await new Promise((resolve) => setImmediate(resolve))
        return requests.map(({ value: { key, step } }) => {
          const steps = done.get(key) ?? []
          if (!steps.includes(step)) steps.push(step)
          done.set(key, steps)
          return step
        })
      }),
    )
    await replier.start()
    return replier
  }
  let replier = await start()
  const requester = await createRequester({ kafka, replyRouting: replyPartition({ topic: replyTopic }) })
  try {
    let second: Replier | undefined
    const secondHandled = (): number => second?.stats().handled ?? 0
    /** 4 000, and as many as it takes until the second replier has had its part. */
    function* items(): Generator<{ readonly key: string; readonly step: number }> {
      for (let index = 0; index < 4_000 || secondHandled() === 0; index++)
        yield { key: `k${index % 40}`, step: index }
    }
    let ended = 0
    let changing: Promise<void> | undefined
    for await (const { item, reply, error } of requester.requestEach(operation, items(), {
      concurrency: 300,
    })) {
      assert.equal(error, undefined)
      assert.equal(reply?.value, item.step)
      if (++ended === 1_000)
        changing = (async () => {
          const before = replier
          second = replier = await start()
          await before.close()
        })()
    }
    await changing
    assert.ok(ended >= 4_000, `${ended} ended`)
    for (const [key, steps] of done)
      assert.deepEqual(
        steps,
        steps.toSorted((a, b) => a - b),
        `the steps of ${key} were done in their order`,
      )
    assert.equal([...done.values()].flat().length, ended)
    const { accepted, replied } = requester.stats()
    assert.deepEqual([accepted, replied], [ended, ended])
  } finally {
    await requester.close()
    await replier.close()
  }
})
