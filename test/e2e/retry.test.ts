/** Retries on brokers: in place and over retry topics, through a change of replier, and the documentation's examples. */
import assert from 'node:assert/strict'
import { after, before, describe, test, type TestContext } from 'node:test'
import {
  createReplier,
  createRequester,
  deadLetter,
  defineOperation,
  fixed,
  openKafka,
  replyPartition,
  retry,
  retryTopics,
  string,
  type Operation,
  type RecordMiddleware,
  type Replier,
  type Requester,
} from '@milena/request-reply'
import { openTestCluster, type TestCluster } from '../support/cluster.ts'
import { runPage } from '../support/run-page.ts'
import { waitFor } from '../support/wait-for.ts'

const quiet = { warn() {} }

let cluster: TestCluster
before(async () => {
  cluster = await openTestCluster()
})
after(() => cluster.close())

interface Shop {
  readonly pay: Operation<string, string, string, string>
  readonly requester: Requester
  readonly replier: (
    useRecords: RecordMiddleware[],
    handler: Parameters<typeof handled>[2],
  ) => Promise<Replier>
}

const kept = (): RecordMiddleware[] => [deadLetter(), retryTopics({ delays: [3_000, 100] })]

function handled(
  replier: Replier,
  pay: Operation<string, string, string, string>,
  handler: (order: string, context: { readonly attempt: number }) => string,
  useRecords: readonly RecordMiddleware[],
): void {
  replier.handle(pay, (order, context) => handler(order, context), { useRecords })
}

async function open(t: TestContext): Promise<Shop> {
  const topic = await cluster.createTopic('pay_request', { partitions: 2 })
  const replies = await cluster.createTopic('pay_reply', { partitions: 2 })
  for (const one of ['retry-1', 'retry-2', 'dlt']) cluster.own(`${topic}-${one}`)
  const pay = defineOperation({
    name: 'pay',
    topic,
    request: string(),
    reply: string(),
    key: (order) => order,
  })
  const kafka = { brokers: cluster.brokers }
  const transport = await openKafka(kafka)
  const requester = await createRequester({
    transport,
    replyRouting: replyPartition({ topic: replies }),
    timeout: 60_000,
  })
  t.after(async () => {
    await requester.close()
    await transport.close()
  })
  return {
    pay,
    requester,
    async replier(useRecords, handler) {
      const replier = createReplier({
        kafka,
        groupId: topic,
        replyTopics: [replies],
        createTopics: true,
        sessionTimeout: 6_000,
        concurrency: 1,
        logger: quiet,
      })
      t.after(() => replier.close({ timeout: 0 }))
      handled(replier, pay, handler, useRecords)
      await replier.start()
      return replier
    },
  }
}

describe('retries', { concurrency: true }, () => {
  test('in place, for longer than a session: nothing moves, other keys go on, and its key waits', async (t) => {
    const { pay, requester, replier } = await open(t)
    const order: string[] = []
    const worker = await replier([retry({ backoff: fixed(7_000) })], (value, { attempt }) => {
      order.push(`${value}#${attempt}`)
      if (value.startsWith('k1 fails') && attempt === 1) throw new Error('not now')
      return `${value}#${attempt}`
    })
    const ofOneKey = { ...pay, key: () => 'k1' }
    const failing = requester.request(ofOneKey, 'k1 fails')
    await waitFor(() => order.length === 1, { what: 'its failure' })
    const behind = requester.request(ofOneKey, 'k1 behind')
    assert.equal((await requester.request(pay, 'k2')).value, 'k2#1')
    assert.equal((await failing).value, 'k1 fails#2')
    assert.equal((await behind).value, 'k1 behind#1')
    assert.deepEqual(order, ['k1 fails#1', 'k2#1', 'k1 fails#2', 'k1 behind#1'])
    const { redelivered, retried } = worker.stats()
    assert.deepEqual({ redelivered, retried }, { redelivered: 0, retried: 1 })
  })

  test('over retry topics: through a change of replier, then a dead letter; requests do not wait for it', async (t) => {
    const { pay, requester, replier } = await open(t)
    const tries: string[] = []
    const handler = (value: string, { attempt }: { readonly attempt: number }): string => {
      tries.push(`${value}#${attempt}`)
      if (value.startsWith('fails')) throw new Error('not now')
      return value
    }
    const first = await replier(kept(), handler)
    const began = performance.now()
    const failing = requester.request(pay, 'fails')
    await waitFor(() => first.stats().delayed === 1, { what: 'it in the retry topic' })
    for (const value of ['a', 'b', 'c']) assert.equal((await requester.request(pay, value)).value, value)
    assert.deepEqual(tries, ['fails#1', 'a#1', 'b#1', 'c#1'])
    assert.deepEqual(first.health().stopped, [])
    await first.close()
    await replier(kept(), handler)
    await assert.rejects(failing, { remoteCode: 'MILENA_DEAD_LETTERED', message: /not now|handler failed/ })
    assert.ok(performance.now() - began >= 3_000)
    assert.deepEqual(
      tries.filter((one) => one.startsWith('fails')),
      ['fails#1', 'fails#2', 'fails#3'],
    )
  })

  test('the example of retry in place runs as it stands', async () => {
    const code = { page: 'docs/retry.md', block: 0, topics: ['deposit_request', 'deposit_reply'] }
    await runPage(cluster, code)
  })

  test('the example of retry topics runs as it stands', async () => {
    const derived = ['notify_request-retry-1', 'notify_request-retry-2']
    const code = { page: 'docs/retry.md', block: 1, topics: ['notify_request', 'notify_reply'], derived }
    await runPage(cluster, code)
  })
})
