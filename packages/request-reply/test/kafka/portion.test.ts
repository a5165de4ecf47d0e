/** How much goes at once after a broker was silent over what it was asked, or sent. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BrokerPool } from '../../src/transport/kafka/connection/connections.ts'
import { Portion } from '../../src/transport/kafka/connection/portion.ts'
import { NetworkFailure } from '../../src/transport/kafka/connection/verdicts.ts'
import {
  BrokerFetcher,
  type FetchOwner,
  type ReadPartition,
} from '../../src/transport/kafka/reading/broker-fetcher.ts'
import type { FetchAnswer } from '../../src/transport/kafka/reading/fetch-api.ts'
import { first, record, setUp } from './sender-bench.ts'
import { until } from './until.ts'

const silence = new NetworkFailure('not a byte', { silent: true })

test('a portion is less after silence, no less than 64 KiB, and in full again after some answers', () => {
  const portion = new Portion(1_000_000)
  portion.failed(silence)
  assert.equal(portion.bytes, 250_000)
  for (let i = 0; i < 9; i++) portion.failed(silence)
  assert.equal(portion.bytes, 65_536)
  for (let i = 0; i < 3; i++) portion.carried()
  assert.equal(portion.bytes, 524_288)
  portion.carried()
  assert.equal(portion.bytes, 1_000_000)
  portion.failed(new NetworkFailure('it was reset'))
  assert.equal(portion.bytes, 1_000_000)
})

test('a fetch asks for less after silence', async () => {
  const asked: number[] = []
  const partition = { topic: 't', topicId: 'id', partition: 0, position: 0 } as ReadPartition
  const owner = {
    metadata: { nodes: new Map([[1, { id: 1 }]]), absolve() {} },
    maxBatchMemory: 65_536,
    wanted: () => (partition.flight === undefined ? [partition] : []),
    take() {},
    failed() {},
  } as unknown as FetchOwner
  type Limits = { readonly limits: { readonly maxBytes: number; readonly partitionMaxBytes: number } }
  const connection = {
    send(_api: unknown, { limits }: Limits, done: (error: Error | null, answer?: FetchAnswer) => void) {
      asked.push(limits.maxBytes)
      assert.ok(limits.partitionMaxBytes <= limits.maxBytes)
      if (asked.length < 3) setImmediate(done, silence)
      else if (asked.length < 5) setImmediate(done, null, { errorCode: 0, byId: true, partitions: [] })
    },
  }
  const pool = { peek: () => connection } as unknown as BrokerPool
  const loop = new BrokerFetcher(owner, 1, pool, pool)
  await until('five fetches', () => {
    loop.wake()
    return asked.length === 5
  })
  loop.stop()
  const whole = asked[0]!
  assert.deepEqual(asked, [whole, whole / 4, whole / 16, whole / 8, whole / 4])
})

test('a sender sends less at once after silence', async () => {
  const { cluster, sender } = setUp()
  const partitions = [0, 1, 2, 3, 4, 5]
  cluster.lead('t', [1, 1, 1, 1, 1, 1])
  cluster.behaviour = first(
    () => Promise.reject(silence),
    () => Promise.reject(silence),
  )
  await Promise.all(partitions.map((partition) => sender.send(record('x'.repeat(300_000), partition))))
  assert.deepEqual(
    cluster.requests.slice(0, 3).map(({ batches }) => batches.length),
    [6, 2, 1],
  )
  assert.deepEqual(cluster.violations, [])
})
