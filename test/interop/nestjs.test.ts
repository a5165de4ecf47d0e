/** The NestJS program that the benchmark runs: that it asks and answers, and what it puts on the wire. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openKafka, type IncomingRecord } from '@milena/request-reply'
import { startNestReplier, startNestRequester } from '../../interop/src/nestjs.ts'
import { startKafka } from '../../tools/kafka/cluster.ts'
import { uniqueName } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'

const requests = 200

test('NestJS answers NestJS, with the names of Spring and text where Spring has bytes', async () => {
  await using cluster = await startKafka({ brokers: 1 })
  await using transport = await openKafka({ brokers: cluster.brokers })
  const topic = uniqueName('nest')
  const asked: IncomingRecord[] = []
  const replies: IncomingRecord[] = []
  await transport.createTopics([topic, `${topic}.reply`].map((name) => ({ name, partitions: 3 })))
  for (const [name, log] of [
    [topic, asked],
    [`${topic}.reply`, replies],
  ] as const) {
    const onRecords = (records: readonly IncomingRecord[]): void => void log.push(...records)
    await transport.tail({ topic: name, partitions: 'all', from: 'earliest', onRecords })
  }
  const options = { brokers: cluster.brokers, groupId: uniqueName('nest'), topics: [topic], prefix: 'say : ' }
  await using replier = await startNestReplier(options)
  await using requester = await startNestRequester(options)
  assert.notEqual(replier.pid, requester.pid)
  const { answered, wrong, failed, problem } = await requester.ask({
    topic,
    requests,
    inFlight: 16,
    bytes: 50,
    keys: 7,
  })
  assert.deepEqual(
    { answered, wrong, failed, problem },
    { answered: requests, wrong: 0, failed: 0, problem: '' },
  )
  await waitFor(() => asked.length === requests && replies.length === requests, { what: 'the log' })
  for (const record of asked) {
    const text = headers(record)
    assert.match(text['kafka_correlationId'] ?? '', /^[\w-]{10,}$/)
    assert.equal(text['kafka_replyTopic'], `${topic}.reply`)
    assert.equal(text['kafka_replyPartition'], '0')
  }
  assert.deepEqual(correlationIds(replies), correlationIds(asked))
})

function headers(record: IncomingRecord): Record<string, string | undefined> {
  return Object.fromEntries(record.headers.map(([name, value]) => [name.toString(), value?.toString()]))
}

function correlationIds(records: readonly IncomingRecord[]): Set<string | undefined> {
  return new Set(records.map((record) => headers(record)['kafka_correlationId']))
}
