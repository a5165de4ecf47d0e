/**
 * Dead letters from one world to the other, on Apache Kafka: what a failing Spring listener gave up is listed, shown and
 * replayed by us, until a listener that has been put right answers it; and what our handler gave up is read and answered
 * by a Spring listener.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  createReplier,
  createRequester,
  deadLetter,
  deadLetters,
  defineOperation,
  sharedReplyTopic,
  string,
  type DeadLetter,
  type LateReply,
} from '@milena/request-reply'
import { springDeadLetters, startSpring, type Spring, type SpringLetter } from '../../interop/src/spring.ts'
import { uniqueName } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'
import { openBrokers, type InteropBrokers } from './brokers.ts'

const prefix = 'paid '
const failing = uniqueName('spring-fails')
const failingLetters = `${failing}-dlt`
const ours = uniqueName('milena-fails')
const ourLetters = `${ours}-dlt`
const replies = uniqueName('dead-letters_reply')

let kafka: InteropBrokers
let spring: Spring
let springFails: ReturnType<typeof springDeadLetters>
let springReads: ReturnType<typeof springDeadLetters>
before(async () => {
  kafka = await openBrokers()
  const { brokers, transport } = kafka
  // What the second one would fail with, if anybody asked it.
  const unused = uniqueName('unused')
  const topics = [failing, failingLetters, ours, ourLetters, unused, replies]
  await transport.createTopics(topics.map((name) => ({ name, partitions: 2 })))
  springFails = springDeadLetters({
    brokers,
    prefix,
    groupId: failing,
    topic: failing,
    letters: failingLetters,
  })
  springReads = springDeadLetters({ brokers, prefix, groupId: unused, topic: unused, letters: ourLetters })
  spring = await startSpring([springFails, springReads])
})
after(async () => {
  await spring?.[Symbol.asyncDispose]()
  await kafka?.[Symbol.asyncDispose]()
})

function payOn(topic: string) {
  return defineOperation({ name: 'pay', topic, request: string(), reply: string(), key: () => 'k' })
}

test('Spring’s dead letters are ours to list, to show and to replay, and a Spring that was put right answers them', async () => {
  const { transport } = kafka
  await using requester = await createRequester({
    transport,
    replyRouting: sharedReplyTopic({ topic: replies }),
    timeout: 120_000,
  })
  // Spring tells nobody that it has given up: this one waits.
  const asked = requester.request(payOn(failing), 'o-1', {
    partition: 1,
    headers: { trace: Buffer.from([7]) },
  })
  await using browser = deadLetters({ transport, createTopics: true })
  const list = async (): Promise<DeadLetter[]> => {
    const found: DeadLetter[] = []
    for await (const letter of browser.list({ topic: failing })) found.push(letter)
    return found
  }
  await waitFor(async () => (await list()).length === 1, { what: 'Spring to give up' })
  const [letter] = await list()
  const { partition, group, code, attempts, original, errorClass, causeClass, message } = letter!
  assert.deepEqual(
    { partition, group, code, attempts, original: { ...original, timestamp: 0 }, errorClass, causeClass },
    {
      partition: 1,
      group: failing,
      code: undefined,
      attempts: undefined,
      original: { topic: failing, partition: 1, offset: 0, timestamp: 0 },
      errorClass: 'org.springframework.kafka.listener.ListenerExecutionFailedException',
      causeClass: 'java.lang.IllegalStateException',
    },
  )
  assert.ok(Math.abs(original!.timestamp! - Date.now()) < 600_000)
  assert.match(message!, /^Listener method .* threw exception/)
  const whole = await browser.show(letter!)
  assert.deepEqual([String(whole!.key), String(whole!.value)], ['k', 'o-1'])
  assert.match(whole!.stack!, /java\.lang\.IllegalStateException: no such account: o-1/)
  // Spring sees its own letter as any other.
  assert.equal((await spring.program.next<SpringLetter>('letter')).value, 'o-1')

  const replayAll = async (again = false): Promise<unknown[]> => {
    const verdicts: unknown[] = []
    for await (const { verdict, to } of browser.replay(letter!, { dryRun: false, again }))
      verdicts.push([verdict, to?.topic, to?.partition, to?.offset])
    return verdicts
  }
  assert.deepEqual(await replayAll(), [['replayed', failing, 1, 1]])
  await waitFor(async () => (await list()).length === 2, { what: 'Spring to give it up again' })
  const [, second] = await list()
  assert.deepEqual([second!.replayOf, second!.original!.offset], [`${failingLetters}/1/0`, 1])
  const { raw } = (await browser.show(second!))!.headers
  assert.deepEqual(
    raw.filter(([name]) => String(name) === 'trace').map(([, value]) => value),
    [Buffer.from([7])],
  )

  await spring.heal(springFails)
  assert.deepEqual(await replayAll(), [['already-replayed', undefined, undefined, undefined]])
  assert.deepEqual(await replayAll(true), [['replayed', failing, 1, 2]])
  assert.equal((await spring.program.next<{ value: string }>('handled')).value, 'o-1')
  assert.equal((await asked).value, 'paid o-1', 'the reply to the replay is the reply to the request')
})

test('our dead letters are a Spring listener’s to read and to handle, and its reply reaches who had asked', async () => {
  const { transport } = kafka
  await using replier = createReplier({
    transport,
    groupId: ours,
    replyTopics: [replies],
    logger: { warn() {} },
  })
  replier.useRecords(deadLetter())
  replier.handle(payOn(ours), () => {
    throw new TypeError('no such account', { cause: new RangeError('7') })
  })
  await replier.start()
  const late: LateReply[] = []
  await using requester = await createRequester({
    transport,
    replyRouting: sharedReplyTopic({ topic: replies }),
    timeout: 120_000,
    onLateReply: (reply) => void late.push(reply),
  })
  const ask = (order: string): Promise<unknown> =>
    assert.rejects(requester.request(payOn(ours), order, { partition: 1 }), (error: unknown) => {
      assert.equal((error as { remoteCode?: string }).remoteCode, 'MILENA_DEAD_LETTERED')
      return true
    })
  await ask('o-1')
  await spring.program.next('letter')
  await spring.heal(springReads, 'letters')
  await ask('o-2')
  const { originalTimestamp, stackLines, ...rest } = await spring.program.next<SpringLetter>('letter')
  assert.deepEqual(rest, {
    event: 'letter',
    value: 'o-2',
    key: 'k',
    partition: 1,
    originalTopic: ours,
    originalPartition: 1,
    originalOffset: 1,
    timestampType: 'CreateTime',
    group: ours,
    exception: 'TypeError',
    cause: 'RangeError',
    message: 'no such account',
  })
  assert.ok(Math.abs(originalTimestamp - Date.now()) < 600_000)
  assert.ok(stackLines > 1 && stackLines <= 20, `${stackLines} lines`)
  assert.equal((await spring.program.next<{ value: string }>('handled')).value, 'o-2')
  await waitFor(() => late.length === 1, { what: 'Spring’s reply' })
  assert.equal(late[0]!.reply?.value, 'paid o-2')
})
