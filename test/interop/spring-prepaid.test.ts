/**
 * The prepaid service (`systems/prepaid`) as it is, with Spring for Apache Kafka on one side of it, on Apache Kafka: its
 * requester asks a Spring listener, and a ReplyingKafkaTemplate asks its replier.
 */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { springReplier, springRequester, startSpring } from '../../interop/src/spring.ts'
import { removeTopics, uniqueName } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'
import { openBrokers, type InteropBrokers } from './brokers.ts'

const main = fileURLToPath(new URL('../../systems/prepaid/src/main.ts', import.meta.url))
/** The document's. */
const names = { requests: 'request-topic', replies: 'reply-topic', group: 'reply-group' }
const prefix = 'say : '
const requests = 10_000

let kafka: InteropBrokers
before(async () => {
  kafka = await openBrokers()
  const { requests: one, replies } = names
  await kafka.transport.createTopics([one, replies].map((name) => ({ name, partitions: 6 })))
})
after(async () => {
  // The names are fixed: others have them, too.
  if (kafka) await removeTopics(kafka.brokers, [names.requests, names.replies])
  await kafka?.[Symbol.asyncDispose]()
})

/** `npm run hello -- --role …`, until the end of the test. */
class Side implements AsyncDisposable {
  readonly #child: ChildProcess
  #output = ''

  constructor(role: 'requester' | 'replier') {
    const environment = { ...process.env, KAFKA_BROKERS: kafka.brokers.join(',') }
    this.#child = spawn(process.execPath, ['--conditions=x-source', main, '--role', role], {
      env: environment,
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8')
      stream?.on('data', (text: string) => (this.#output = (this.#output + text).slice(-200_000)))
    }
  }

  async says(pattern: RegExp): Promise<RegExpExecArray> {
    return waitFor(() => pattern.exec(this.#output), { what: `${String(pattern)} in what it prints` })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'close')
    this.#child.kill('SIGTERM')
    await ended
  }
}

test('ten thousand GETs at the prepaid requester are answered by a Spring listener', async () => {
  const { brokers } = kafka
  const { requests: topic, group: groupId } = names
  await using requester = new Side('requester')
  await using spring = await startSpring([springReplier({ brokers, groupId, prefix, topics: [topic] })])
  assert.ok(spring)
  const [, url] = await requester.says(/curl '(http:\S+?)\?/)
  let next = 0
  const wrong: string[] = []
  const loop = async (): Promise<void> => {
    while (next < requests) {
      const text = `letter ${next++} 안녕`
      const response = await fetch(`${url}?str=${encodeURIComponent(text)}`)
      const body = await response.text()
      if (response.status !== 200 || body !== prefix + text) wrong.push(`${response.status} ${body}`)
    }
  }
  await Promise.all(Array.from({ length: 64 }, loop))
  assert.deepEqual(wrong.slice(0, 3), [])
  await requester.says(/response : say : letter 9999 안녕/)
})

test('ten thousand requests of a ReplyingKafkaTemplate are answered by the prepaid replier', async () => {
  const { brokers } = kafka
  const { requests: topic, replies } = names
  await using replier = new Side('replier')
  await replier.says(/ready/)
  const asking = springRequester({ brokers, prefix, groupId: uniqueName('prepaid'), replyTopic: replies })
  await using spring = await startSpring([asking])
  const run = await spring.requester(asking).ask({ topic, requests, inFlight: 500, keys: 97 })
  const { answered, wrong, failed, problem } = run
  assert.deepEqual(
    { answered, wrong, failed, problem },
    { answered: requests, wrong: 0, failed: 0, problem: '' },
  )
  await replier.says(/in progress/)
})
