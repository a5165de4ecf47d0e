/** Our error replies at a ReplyingKafkaTemplate, on Apache Kafka: without and with the lines of docs/interop.md. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { createReplier, defineOperation, ReplyError, string } from '@milena/request-reply'
import { springRequester, startSpring, type Spring, type SpringRole } from '../../interop/src/spring.ts'
import { uniqueName } from '../support/cluster.ts'
import { openBrokers, type InteropBrokers } from './brokers.ts'

const topic = uniqueName('errors_request')
const replies = uniqueName('errors_reply')

let kafka: InteropBrokers
let spring: Spring
let stock: SpringRole
let checked: SpringRole
before(async () => {
  kafka = await openBrokers()
  const { brokers, transport } = kafka
  await transport.createTopics([topic, replies].map((name) => ({ name, partitions: 2 })))
  const options = { brokers, replyTopic: replies }
  stock = springRequester({ ...options, groupId: uniqueName('stock') })
  checked = springRequester({ ...options, groupId: uniqueName('checked'), checkErrors: true })
  spring = await startSpring([stock, checked])
})
after(async () => {
  await spring?.[Symbol.asyncDispose]()
  await kafka?.[Symbol.asyncDispose]()
})

test('an error reply is a success without a value to a stock Spring, and a failed future with our lines', async () => {
  await using replier = createReplier({
    transport: kafka.transport,
    groupId: topic,
    replyTopics: [replies],
    logger: { warn() {} },
  })
  const operation = defineOperation({ name: 'pay', topic, request: string(), reply: string() })
  replier.handle(operation, (text) => {
    if (text.startsWith('0')) throw new ReplyError('NO_SUCH_ACCOUNT', 'no account é')
    return text
  })
  await replier.start()
  // Of two requests the first fails.
  const ask = async (who: SpringRole): Promise<unknown> => {
    const run = await spring.requester(who).ask({ topic, requests: 2 })
    const { answered, wrong, failed, problem } = run
    return { answered, wrong, failed, problem }
  }
  assert.deepEqual(await ask(stock), { answered: 2, wrong: 1, failed: 0, problem: '' })
  assert.deepEqual(await ask(checked), {
    answered: 1,
    wrong: 0,
    failed: 1,
    problem: 'milena.interop.ReplyErrors$RemoteException: NO_SUCH_ACCOUNT: no account é',
  })
})

test('the lines of docs/interop.md are those that are tested', async () => {
  const source = await readFile(
    new URL('../../interop/spring/src/main/java/milena/interop/ReplyErrors.java', import.meta.url),
    'utf8',
  )
  const page = await readFile(new URL('../../docs/interop.md', import.meta.url), 'utf8')
  const block = [...page.matchAll(/```java\n([^]*?)```/g)]
    .map(([, code]) => code!)
    .find((code) => /check\(/.test(code))
  assert.ok(block, 'docs/interop.md has no check()')
  const lines = (code: string): string => code.replaceAll(/^ +/gm, '')
  assert.ok(lines(source).includes(lines(block)), 'ReplyErrors.java has other lines')
})
