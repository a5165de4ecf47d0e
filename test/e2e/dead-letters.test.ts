/** Dead letters on brokers: nothing is committed past what could not be kept, and a letter is done again once. */
import assert from 'node:assert/strict'
import { after, before, test, type TestContext } from 'node:test'
import {
  createReplier,
  createRequester,
  deadLetter,
  deadLetters,
  defineOperation,
  openKafka,
  replyPartition,
  springProfile,
  string,
  type CommittedOffset,
  type DeadLetter,
  type RawHeader,
  type Replay,
  type Transport,
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

async function connect(t: TestContext): Promise<Transport> {
  const transport = await openKafka({ brokers: cluster.brokers })
  t.after(() => transport.close())
  return transport
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = []
  for await (const item of items) found.push(item)
  return found
}

test('what failed is kept in its bytes; while that cannot be, nothing is committed past it', async (t) => {
  const requests = await cluster.createTopic('pay_request')
  const replies = await cluster.createTopic('pay_reply')
  const dlt = `${requests}-dlt`
  cluster.own(dlt)
  const transport = await connect(t)
  await transport.createTopics([{ name: dlt, partitions: 1 }])
  const handled: string[] = []
  await using replier = createReplier({
    transport: await connect(t),
    groupId: requests,
    replyTopics: [replies],
    commitInterval: 0,
    logger: quiet,
  })
  replier.useRecords(deadLetter())
  const pay = defineOperation({ name: 'pay', topic: requests, request: string(), reply: string() })
  replier.handle(pay, (order) => {
    handled.push(order)
    if (order.startsWith('fail')) throw new Error('not today')
    return order
  })
  await replier.start()
  await transport.deleteTopics([dlt])

  let asked = 0
  const answerable = (): RawHeader[] => [
    springProfile.correlationHeader(Buffer.from(String(++asked).padStart(16, '0'))),
    ...springProfile.addressHeaders({ topic: replies, partition: 0 }),
  ]
  const ask = (value: Buffer, headers: readonly RawHeader[]): Promise<unknown> =>
    transport.send({ topic: requests, partition: 0, key: null, value, headers })
  const undecodable = Buffer.from([0xff, 0xfe])
  // At once, so that the last one has begun when the first one stands still.
  await Promise.all([
    ask(Buffer.from('fine'), answerable()),
    ask(undecodable, answerable()),
    ask(Buffer.from('fail'), answerable()),
    ask(Buffer.from('fail one-way'), []),
    ask(Buffer.from('unanswerable'), answerable().slice(1)),
    ask(Buffer.from('fine too'), answerable()),
  ])

  const note = async (): Promise<CommittedOffset | undefined> =>
    (await transport.readCommittedOffsets(requests, [requests])).find(({ partition }) => partition === 0)
  await waitFor(() => replier.health().stopped.length > 0, { what: 'the partition to stand still' })
  const [stopped] = replier.health().stopped
  assert.match(
    stopped!.error!.message,
    /could not be kept as a dead letter in .*, so its partition stands still/,
  )
  // What is finished above it stands in a commit's metadata: so that was made when the last one had its reply.
  const ahead = await waitFor(async () => (await note())?.metadata !== '' && note(), {
    what: 'a commit that says what is finished above',
  })
  assert.equal(ahead.offset, 1)

  await transport.createTopics([{ name: dlt, partitions: 1 }])
  await waitFor(async () => (await note())?.offset === 6, { what: 'the partition to go on' })
  assert.deepEqual(replier.health().stopped, [])
  await using letters = deadLetters({ transport })
  const found = await all(letters.list({ topic: requests }))
  const told = await Promise.all(
    found.map(async (letter) => `${(await letters.show(letter))!.value!.toString('latin1')}: ${letter.code}`),
  )
  assert.deepEqual(told.toSorted(), [
    'fail one-way: MILENA_HANDLER_FAILED',
    'fail: MILENA_HANDLER_FAILED',
    'unanswerable: unanswerable',
    `${undecodable.toString('latin1')}: MILENA_CODEC_FAILED`,
  ])
  // The letter was tried again, not the handler.
  assert.deepEqual(handled.toSorted(), ['fail', 'fail one-way', 'fine', 'fine too'])
})

test('a letter knows whose its time was, and goes without its stack where that is too large for its topic', async (t) => {
  const configs = { 'message.timestamp.type': 'LogAppendTime' }
  const requests = await cluster.createTopic('pay_request', { configs })
  const replies = await cluster.createTopic('pay_reply')
  const dlt = `${requests}-dlt`
  cluster.own(dlt)
  const transport = await connect(t)
  await transport.createTopics([{ name: dlt, partitions: 1, configs: { 'max.message.bytes': '1400' } }])
  await using replier = createReplier({ transport, groupId: requests, replyTopics: [replies], logger: quiet })
  replier.useRecords(deadLetter())
  const pay = defineOperation({ name: 'pay', topic: requests, request: string(), reply: string() })
  replier.handle(pay, () => {
    const error = new Error('not today')
    error.stack = `Error: not today\n${`    at ${'somewhere '.repeat(15)}(file.ts:1:1)\n`.repeat(50)}`
    throw error
  })
  await replier.start()
  await using requester = await createRequester({
    transport,
    replyRouting: replyPartition({ topic: replies }),
  })
  await assert.rejects(requester.request(pay, 'o-1', { timeout: 60_000 }), {
    code: 'MILENA_REMOTE_ERROR',
    remoteCode: 'MILENA_DEAD_LETTERED',
    outcomeKnown: false,
  })
  await using letters = deadLetters({ transport })
  const [letter] = await all(letters.list({ topic: requests }))
  assert.equal(letter?.message, 'not today')
  const whole = await letters.show(letter)
  assert.equal(whole?.stack, undefined)
  assert.equal(whole?.headers.text('kafka_dlt-original-timestamp-type'), 'LogAppendTime')
})

test('letters are read in pieces, and replayed once though two do it at once', async (t) => {
  const requests = await cluster.createTopic('pay_request', { partitions: 2 })
  const dlt = await cluster.createTopic(`${requests}-dlt`, { partitions: 2 })
  cluster.own(`${dlt}-replays`)
  const transport = await connect(t)
  const count = 2_500
  const sends = Array.from({ length: count }, (_, i) => {
    const offset = Buffer.alloc(8)
    offset.writeBigInt64BE(BigInt(i))
    const headers: RawHeader[] = [
      [Buffer.from('kafka_dlt-original-topic'), Buffer.from(requests)],
      [Buffer.from('kafka_dlt-original-partition'), Buffer.from([0, 0, 0, i % 2])],
      [Buffer.from('kafka_dlt-original-offset'), offset],
    ]
    return transport.send({
      topic: dlt,
      partition: i % 2,
      key: Buffer.from(`k-${i % 250}`),
      value: null,
      headers,
    })
  })
  await Promise.all(sends)
  const options = { transport, topic: () => dlt, createTopics: true }
  await using one = deadLetters(options)
  await using other = deadLetters({ ...options, transport: await connect(t) })
  const found: DeadLetter[] = await all(one.list({ topic: requests }))
  assert.equal(new Set(found.map(({ original }) => original?.offset)).size, count)
  const some = { topic: requests, key: 'k-7' }
  const both: Replay[][] = await Promise.all(
    [one, other].map((letters) => all(letters.replay(some, { dryRun: false }))),
  )
  const sent = both.flat().filter(({ verdict }) => verdict === 'replayed')
  assert.deepEqual(
    sent.map(({ letter }) => letter.original!.offset).toSorted((a, b) => a - b),
    Array.from({ length: count / 250 }, (_, i) => 7 + 250 * i),
  )
  assert.ok(both.flat().every(({ verdict }) => verdict === 'replayed' || verdict === 'already-replayed'))
})

test('the page’s code runs as it stands, and prints what it says', async () => {
  await runPage(cluster, {
    page: 'docs/dead-letters.md',
    block: 0,
    topics: ['pay_request', 'pay_reply'],
    derived: ['pay_request-dlt', 'pay_request-dlt-replays'],
  })
})
