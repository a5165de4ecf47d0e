import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import { startEmbeddedKafka } from '../src/index.ts'
import { fetchRequest } from './support/calls.ts'
import { RawClient } from './support/raw-client.ts'
import { until } from './support/until.ts'

/** What of the kinds that a broker makes keeps this process alive. */
function resources(): string[] {
  const kinds = new Set(['TCPServerWrap', 'TCPSocketWrap', 'Timeout', 'Immediate'])
  return process.getActiveResourcesInfo().filter((kind) => kinds.has(kind))
}

test('close() ends with fetches parked, frees the port and leaves no socket and no timer', async () => {
  const before = resources()
  const broker = await startEmbeddedKafka({ topics: ['t:10'] })
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(broker.port)))
  for (const client of clients) client.send(fetchRequest({ topic: 't', maxWaitMs: 2_000_000 }))
  await until(() => broker.stats().parkedRequests === 20, 'all fetches are parked')

  await broker.close()
  await Promise.all(clients.map((client) => client.closed))
  await until(
    () => resources().length <= before.length,
    `only ${before.join()} is left of ${resources().join()}`,
  )

  // Not by listening there: the system may have given the port to somebody's outgoing connection since.
  const again = connect(broker.port, '127.0.0.1')
  await assert.rejects(once(again, 'connect'), { code: 'ECONNREFUSED' })
})

test('close() can be called twice, and a broker can be disposed of', async () => {
  const broker = await startEmbeddedKafka()
  await Promise.all([broker.close(), broker.close()])
  await broker[Symbol.asyncDispose]()
})

test('a topic can be made no more once close() was called', async () => {
  const broker = await startEmbeddedKafka({ topics: ['before'] })
  const closed = broker.close()
  assert.throws(() => broker.createTopic('after'), { code: 'EMBEDDED_KAFKA_CLOSED', message: /it is closed/ })
  await closed
  assert.throws(() => broker.createTopic('after'), { code: 'EMBEDDED_KAFKA_CLOSED' })
  assert.equal(broker.deleteTopic('before'), false)
  assert.equal(broker.stats().topics, 0)
})

test('a port that is taken, and options that are wrong, are told at once and leave nothing', async () => {
  const before = resources()
  {
    await using broker = await startEmbeddedKafka()
    await assert.rejects(startEmbeddedKafka({ port: broker.port }), { code: 'EADDRINUSE' })
  }
  const wrong = {
    port: 70_000,
    maxConnections: 0,
    topics: ['a:b'],
    topicDefaults: { 'no.such': 1 },
    ports: 1,
  }
  await assert.rejects(startEmbeddedKafka(wrong), (error: Error) => {
    for (const name of ['port', 'maxConnections', 'a:b', 'no.such', 'no option ports']) {
      assert.match(error.message, new RegExp(name))
    }
    return error instanceof RangeError
  })
  await assert.rejects(startEmbeddedKafka({ topics: ['one', 'one'] }), { codeName: 'TOPIC_ALREADY_EXISTS' })
  await until(() => resources().length <= before.length, `nothing is left of ${resources().join()}`)
})
