/** Our retry topics and Spring's, on Apache Kafka. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  createReplier,
  defineOperation,
  retryTopics,
  string,
  type IncomingRecord,
  type RawHeader,
} from '@milena/request-reply'
import { springRetries, startSpring } from '../../interop/src/spring.ts'
import { uniqueName } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'
import { openBrokers, type InteropBrokers } from './brokers.ts'

let kafka: InteropBrokers
before(async () => (kafka = await openBrokers()))
after(() => kafka?.[Symbol.asyncDispose]())

const topicsOfSpring = (base: string, place: number): string => `${base}-retry-${place - 1}`

test('a record in our retry topics has what it has in Spring’s', async () => {
  const { brokers, transport } = kafka
  const ours = uniqueName('retried')
  const theirs = uniqueName('retried')
  const suffixes = ['retry-0', 'retry-1', 'dlt']
  const retried = new Map<string, IncomingRecord>()
  for (const base of [ours, theirs]) {
    const topics = suffixes.map((suffix) => `${base}-${suffix}`)
    await transport.createTopics([base, ...topics].map((name) => ({ name, partitions: 2 })))
    for (const topic of topics.slice(0, 2)) {
      const onRecords = ([record]: readonly IncomingRecord[]): void => void retried.set(topic, record!)
      await transport.tail({ topic, partitions: 'all', from: 'earliest', onRecords })
    }
  }
  await using spring = await startSpring([springRetries({ brokers, groupId: theirs, topic: theirs })])
  assert.ok(spring)
  await using replier = createReplier({ transport, groupId: ours, logger: { warn() {} } })
  const operation = defineOperation({ name: 'pay', topic: ours, request: string(), reply: string() })
  replier.handle(
    operation,
    () => {
      throw new Error('not now')
    },
    { useRecords: [retryTopics({ delays: [100, 200], topic: topicsOfSpring })] },
  )
  await replier.start()
  const headers: RawHeader[] = [[Buffer.from('trace'), Buffer.from([7])]]
  const record = { partition: 1, key: Buffer.from('k'), value: Buffer.from('pay'), headers }
  const asked = performance.timeOrigin + performance.now()
  for (const topic of [ours, theirs]) await transport.send({ topic, ...record })
  await waitFor(() => retried.size === 4, { what: 'both to retry twice' })

  for (const suffix of ['retry-0', 'retry-1']) {
    const mine = retried.get(`${ours}-${suffix}`)!
    const springs = retried.get(`${theirs}-${suffix}`)!
    assert.deepEqual([mine.partition, mine.key, mine.value], [springs.partition, springs.key, springs.value])
    for (const [name] of mine.headers) {
      const [own, other] = [mine, springs].map((one) => lastOf(one.headers, name))
      assert.ok(other, `Spring writes no ${String(name)}`)
      // Names differ, and moments a little.
      if (/topic$|group$/.test(String(name))) assert.deepEqual([String(own), String(other)], [ours, theirs])
      else if (String(name).endsWith('timestamp')) {
        assert.equal(own!.length, other.length)
        const moments = [own!, other].map((bytes) => Number(`0x${bytes.toString('hex')}`))
        for (const moment of moments)
          assert.ok(Math.abs(moment - asked) < 600_000, `${String(name)} ${moment}`)
      } else assert.deepEqual(own, other, `${String(name)} of ${suffix}`)
    }
  }
})

function lastOf(headers: readonly RawHeader[], name: Buffer): Buffer | null | undefined {
  return headers.findLast(([one]) => one.equals(name))?.[1]
}
