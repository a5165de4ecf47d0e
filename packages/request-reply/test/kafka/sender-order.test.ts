import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { PartitionResult } from '../../src/transport/kafka/sending/produce.ts'
import type { RecordPosition } from '../../src/transport/transport.ts'
import { refuse } from './fake-cluster.ts'
import {
  setUp,
  live,
  first,
  record,
  numbers,
  sendAll,
  offsets,
  LARGE,
  loseAnswer,
  loseRequest,
  answer,
  codes,
} from './sender-bench.ts'
import { until } from './until.ts'

describe('the sender keeps order, and sends nothing twice,', () => {
  test('when the answer is lost: the same bytes go again', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    cluster.behaviour = first(loseAnswer(cluster), loseRequest)
    const results = sendAll(sender, ['a', 'b'])
    await until('the repetition', () => cluster.requests.length >= 2)
    const more = sendAll(sender, ['c', 'd'])
    assert.deepEqual(offsets(await results), [0, 1])
    assert.deepEqual(offsets(await more), [2, 3])
    assert.deepEqual(cluster.log('t'), ['a', 'b', 'c', 'd'])
    const [one, two, three] = cluster.requests.map((request) => request.batches[0]!.bytes)
    assert.ok(one!.equals(two!) && two!.equals(three!))
  })

  test('when a batch went to two brokers: the one that is still to arrive at the first stays as it is', async () => {
    const { cluster, sender } = setUp()
    const seen = live(cluster)
    cluster.lead('t', [1])
    const { promise, resolve } = Promise.withResolvers<PartitionResult[]>()
    cluster.behaviour = first(() => promise)
    const one = sender.send(record('a'.repeat(LARGE)))
    await until('the first attempt', () => seen.length === 1)
    const before = Buffer.from(seen[0]!)
    cluster.lead('t', [2])
    await cluster.refresh()
    await one
    await sender.send(record('b'.repeat(LARGE)))
    assert.equal(seen[1], seen[0])
    assert.ok(seen[0]!.equals(before))
    assert.deepEqual(cluster.log('t'), ['a'.repeat(LARGE), 'b'.repeat(LARGE)])
    resolve([])
  })

  test('when a leader appends and is deposed before it answers', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    cluster.behaviour = first(async (request) => {
      cluster.appendAll(request)
      cluster.lead('t', [2])
      return refuse(request, codes.notLeader)
    })
    const results = sendAll(sender, ['a', 'b'])
    await until('the repetition', () => cluster.requests.length >= 2)
    await Promise.all([results, sendAll(sender, ['c'])])
    assert.deepEqual(cluster.log('t'), ['a', 'b', 'c'])
    assert.deepEqual(
      cluster.requests.slice(0, 2).map((request) => request.node),
      [1, 2],
    )
  })

  test('when replicas are too slow and the answer is codes.requestTimedOut although the record is there', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    cluster.behaviour = first(async (request) => {
      cluster.appendAll(request)
      return refuse(request, codes.requestTimedOut)
    })
    await sendAll(sender, ['a'])
    await sendAll(sender, ['b'])
    assert.deepEqual(cluster.log('t'), ['a', 'b'])
  })

  test('when the leader hangs and another takes over: nobody waits for the first one’s answer', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    await sendAll(sender, ['before'])
    let wake: (() => void) | undefined
    cluster.behaviour = (request) =>
      request.node === 1
        ? new Promise((resolve) => {
            wake = () => resolve(refuse(request, codes.notLeader))
          })
        : undefined
    const results = sendAll(sender, ['a', 'b'])
    await until('the request at the hung leader', () => cluster.requests.length === 2)
    cluster.lead('t', [2])
    assert.deepEqual(offsets(await results), [1, 2])
    wake!()
    await sendAll(sender, ['c'])
    assert.deepEqual(cluster.log('t'), ['before', 'a', 'b', 'c'])
    assert.deepEqual(cluster.violations, [])
  })

  test('when the leaders of a batch of many partitions move to different brokers (trap N1)', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1, 1, 1])
    cluster.behaviour = first(async (request) => {
      cluster.lead('t', [2, 3, 1])
      return refuse(request, codes.notLeader)
    })
    await Promise.all([0, 1, 2].map((partition) => sendAll(sender, ['a', 'b'], partition)))
    for (const partition of [0, 1, 2]) assert.deepEqual(cluster.log('t', partition), ['a', 'b'])
    const later = cluster.requests.slice(1)
    assert.deepEqual(
      later.map((request) => request.node).toSorted((a, b) => a - b),
      [1, 2, 3],
    )
  })

  test('when the broker cannot be reached: nothing was sent, and it goes to whoever leads next', async () => {
    const { cluster, sender } = setUp()
    cluster.unreachable.add(1)
    cluster.lead('t', [1])
    const results = sendAll(sender, ['a', 'b'])
    await until('a second look', () => cluster.refreshes >= 2)
    cluster.lead('t', [2])
    await results
    assert.deepEqual(cluster.log('t'), ['a', 'b'])
  })

  test('when too few replicas are in sync for a while', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    cluster.behaviour = first(answer(codes.notEnoughReplicas), answer(codes.notEnoughReplicas))
    const results = sendAll(sender, ['a'])
    await until('a repetition', () => cluster.requests.length >= 2)
    await Promise.all([results, sendAll(sender, ['b'])])
    assert.deepEqual(cluster.log('t'), ['a', 'b'])
  })

  test('when connections break again and again under load', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1, 2])
    let count = 0
    cluster.behaviour = (request) => {
      const fault = count++ % 5
      return fault === 1 ? loseAnswer(cluster)(request) : fault === 3 ? loseRequest(request) : undefined
    }
    const results: Promise<RecordPosition>[] = []
    for (let round = 0; round < 40; round++) {
      for (const partition of [0, 1]) results.push(sender.send(record(String(round), partition)))
      await new Promise(setImmediate)
    }
    await Promise.all(results)
    for (const partition of [0, 1]) assert.deepEqual(cluster.log('t', partition), numbers(40))
    assert.deepEqual(cluster.violations, [])
  })
})
