/** Brokers of which none answers for a moment. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import { createRequester } from '../../src/requester/requester.ts'
import { replyPartition } from '../../src/routing/reply-partition.ts'
import { BrokersAway } from '../../src/transport/kafka/cluster/brokers-away.ts'
import { openKafka } from '../../src/transport/kafka/open-kafka.ts'
import type { Trouble } from '../../src/transport/transport.ts'
import { until } from './until.ts'

test('are a trouble that is told once and ends by itself; a requester goes on taking requests', async (t) => {
  const topics = ['replies:1']
  const first = await startEmbeddedKafka({ topics })
  const transport = await openKafka({ brokers: first.brokers })
  t.after(() => transport.close())
  let troubles: readonly Trouble[] = []
  const errors: Error[] = []
  await transport.tail({
    topic: 'replies',
    partitions: 'all',
    from: 'latest',
    onRecords: () => undefined,
    onTrouble: (list) => (troubles = list),
    onError: (error) => errors.push(error),
  })
  const requester = await createRequester({
    transport,
    replyRouting: replyPartition({ topic: 'replies', partition: 0 }),
  })
  t.after(() => requester.close({ timeout: 0 }))
  await first.close()
  await until('a trouble', () => troubles.length > 0)
  assert.deepEqual(
    troubles.map(({ kind }) => kind),
    ['away'],
  )
  assert.match(
    troubles[0]!.error.message,
    /^no broker has answered for 2 s at 127\.0\.0\.1:\d+ \(.*ECONNREFUSED/,
  )
  await until('the requester has it, too', () => requester.health().troubles.length > 0)
  const { receiving, replyTopics } = requester.health()
  assert.deepEqual([receiving, replyTopics[0]!.receiving], [true, true])
  const again = await startEmbeddedKafka({ topics, port: first.port })
  t.after(() => again.close())
  await until('the end of it', () => !troubles.some(({ kind }) => kind === 'away'))
  assert.equal(errors.filter((error) => error.message.includes('no broker has answered')).length, 1)
})

test('are not said to be away by one failure, which may be this process’s own, nor after an answer', () => {
  const away = new BrokersAway(() => undefined)
  const long = performance.now() - 60_000
  away.noneAnswered(long, ['b:1'], new Error('held up'))
  assert.equal(away.problem, undefined)
  assert.ok(away.silence >= 60_000)
  away.answered()
  assert.equal(away.silence, 0)
  away.noneAnswered(long, ['b:1'], new Error('held up again'))
  assert.equal(away.problem, undefined)
  away.noneAnswered(performance.now(), ['b:1'], new Error('gone'))
  assert.match(away.problem!.message, /at b:1 \(gone\)/)
  away.answered()
  assert.equal(away.problem, undefined)
})
