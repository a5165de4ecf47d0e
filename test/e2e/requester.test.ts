/** The requester on brokers: what its unit tests show in memory, where only brokers can say whether it is so. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  createReplier,
  createRequester,
  defineOperation,
  instanceReplyTopic,
  MilenaError,
  openKafka,
  replyPartition,
  string,
  type Operation,
  type Replier,
} from '@milena/request-reply'
import { openTestCluster, uniqueName, type TestCluster } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'

let cluster: TestCluster
before(async () => {
  cluster = await openTestCluster()
})
after(() => cluster.close())

async function startEcho(topic: string): Promise<[Operation<string, string, string, string>, Replier]> {
  const echo = defineOperation({ name: 'echo', topic, request: string(), reply: string(), timeout: 30_000 })
  const replier = createReplier({
    kafka: { brokers: cluster.brokers },
    groupId: uniqueName('echo'),
    from: 'earliest',
    replyTopics: ['replies*'],
  })
  replier.handle(echo, (request) => request)
  await replier.start()
  return [echo, replier]
}

test('a living instance whose reply topic is removed has it again, and goes on receiving', async () => {
  const kafka = { brokers: cluster.brokers }
  const [echo, replier] = await startEcho(await cluster.createTopic('requests', { partitions: 3 }))
  const prefix = `${uniqueName('replies')}_`
  await using requester = await createRequester({
    kafka,
    replyRouting: instanceReplyTopic({ prefix }),
    instanceId: 'gw',
  })
  cluster.own(`${prefix}gw`)
  assert.equal((await requester.request(echo, 'before')).value, 'before')
  const admin = await openKafka(kafka)
  try {
    await admin.deleteTopics([`${prefix}gw`])
    // One that is asked in between may be answered to nowhere; one that is asked when the topic is there may not.
    const there = async (): Promise<boolean> => (await admin.describeTopics([`${prefix}gw`])).size === 1
    await waitFor(there, { what: 'the reply topic is there again' })
    const asks = (): Promise<unknown> => requester.request(echo, 'after', { timeout: 2_000 })
    await waitFor(asks, { what: 'a reply comes', timeout: 60_000 })
    for (let n = 0; n < 3; n++) assert.equal((await requester.request(echo, `${n}`)).value, `${n}`)
  } finally {
    await admin.close()
    await replier.close()
  }
})

test('instances that start at the same moment take a reply partition each', async () => {
  const topic = await cluster.createTopic('replies', { partitions: 8 })
  const options = { kafka: { brokers: cluster.brokers }, replyRouting: replyPartition({ topic }) }
  const requesters = await Promise.all(Array.from({ length: 6 }, () => createRequester(options)))
  const taken = requesters.map((requester) => requester.stats().replyAddress.partition)
  await Promise.all(requesters.map((requester) => requester.close()))
  assert.equal(new Set(taken).size, 6, `taken: ${taken.join(', ')}`)
})

test('a missing reply topic or request topic is an error that names it, and nothing is made', async () => {
  const kafka = { brokers: cluster.brokers }
  const missing = uniqueName('missing')
  const named = (error: unknown): boolean =>
    error instanceof MilenaError &&
    error.code === 'MILENA_TOPIC_MISSING' &&
    error.message.includes(missing) &&
    error.message.includes('createTopics')
  await assert.rejects(createRequester({ kafka, replyRouting: replyPartition({ topic: missing }) }), named)

  const topic = await cluster.createTopic('replies')
  await using requester = await createRequester({ kafka, replyRouting: replyPartition({ topic }) })
  const operation = defineOperation({ name: 'o', topic: missing, request: string(), reply: string() })
  await assert.rejects(requester.request(operation, 'x'), named)
  const admin = await openKafka(kafka)
  try {
    assert.equal((await admin.describeTopics([missing])).size, 0)
  } finally {
    await admin.close()
  }
})

test('a partition that the topic has not is named, also where it is not certain yet', async () => {
  const kafka = { brokers: cluster.brokers }
  const replyRouting = replyPartition({ topic: await cluster.createTopic('replies') })
  await using requester = await createRequester({ kafka, replyRouting })
  const topic = await cluster.createTopic('requests', { partitions: 3 })
  const operation = defineOperation({ name: 'o', topic, request: string(), reply: string() })
  await requester.send(operation, 'the topic is known, and where its leaders are')

  const ask = (timeout: number): Promise<unknown> =>
    requester.request(operation, 'x', { partition: 99, timeout })
  const named = `partition 99, and topic ${topic} had 3, numbered from 0`
  await assert.rejects(ask(100), { code: 'MILENA_NOT_SENT', sent: 'no', message: new RegExp(named) })
  const message = /there is no partition 99, the topic has 3/
  await assert.rejects(ask(20_000), { code: 'MILENA_PARTITION_MISSING', sent: 'no', message })
})
