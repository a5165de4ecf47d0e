import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { MilenaError } from '../../src/errors.ts'
import { setUp, live, gate, record, numbers, sendAll, LARGE } from './sender-bench.ts'
import { until } from './until.ts'

describe('the sender gathers', () => {
  test('everything that comes while a request is in flight, and sends it in the next (trap 1)', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1, 1])
    await sender.send(record('warm up'))
    const held = gate(cluster)
    const results = [sender.send(record('a'))]
    await until('the first request', () => held.waiting.length === 1)
    for (const value of numbers(50)) results.push(sender.send(record(value)), sender.send(record(value, 1)))
    held.release()
    await until('the second request', () => held.waiting.length === 2)
    assert.deepEqual(
      new Map(held.waiting[1]!.batches.map((batch) => [batch.partition, batch.values])),
      new Map([
        [0, numbers(50)],
        [1, numbers(50)],
      ]),
    )
    held.release()
    await Promise.all(results)
    assert.deepEqual(cluster.violations, [])
  })

  test('what is given in one tick, also when nothing else is in flight', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1, 1])
    await sendAll(sender, ['warm up'])
    await Promise.all([sendAll(sender, numbers(10)), sendAll(sender, numbers(10), 1)])
    assert.equal(cluster.requests.length, 2)
    assert.equal(cluster.requests[1]!.batches.length, 2)
  })

  test('per broker: one that does not answer holds up nobody else (trap N1)', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1, 2])
    await sendAll(sender, ['x'], 1)
    cluster.behaviour = (request) => (request.node === 1 ? new Promise(() => undefined) : undefined)
    const stuck = sender.send(record('stuck')).catch((error: MilenaError) => error.sent)
    for (const value of numbers(5)) await sender.send(record(value, 1))
    assert.deepEqual(cluster.log('t', 1), ['x', ...numbers(5)])
    assert.deepEqual(cluster.log('t', 0), [])
    await sender.close()
    assert.equal(await stuck, 'unknown')
  })

  test('until a batch is full: the rest goes in the next one', async () => {
    const { cluster, sender } = setUp({ batchSize: 1_000 })
    cluster.lead('t', [1])
    const big = Array.from({ length: 10 }, (_, index) => String(index).repeat(300))
    await sendAll(sender, big)
    assert.deepEqual(cluster.log('t'), big)
    assert.ok(cluster.requests.every((request) => request.batches[0]!.bytes.length <= 1_000))
    assert.ok(cluster.requests.length >= 4)
  })

  test('for as long as linger says, unless a batch is full before', async () => {
    const { cluster, sender } = setUp({ linger: 60_000, deliveryTimeout: 120_000, batchSize: 1_000 })
    cluster.lead('t', [1])
    const results = [sender.send(record('early'))]
    await until('the topic to be known', () => cluster.refreshes > 0)
    for (const value of numbers(9)) results.push(sender.send(record(value.repeat(100))))
    await until('the full batch', () => cluster.log('t').length > 0)
    assert.equal(cluster.log('t')[0], 'early')
    assert.ok(cluster.log('t').length > 5)
    // What did not fill another batch lingers on.
    await sender.close()
    const last = (await Promise.allSettled(results)).at(-1)
    assert.equal(last!.status, 'rejected')
  })

  test('with linger, a lone record goes when its time is over', async () => {
    const { cluster, sender } = setUp({ linger: 20 })
    cluster.lead('t', [1])
    await sender.send(record('alone'))
    assert.deepEqual(cluster.log('t'), ['alone'])
  })

  test("with linger, other partitions' records go along with the first whose time is over", async () => {
    const { cluster, sender } = setUp({ linger: 60_000, deliveryTimeout: 120_000, batchSize: 1_000 })
    cluster.lead('t', [1, 1])
    const early = sender.send(record('early', 1))
    await until('the topic to be known', () => cluster.refreshes > 0)
    // Partition 0 need not wait any more: it is full.
    const full = Promise.all(numbers(8).map((value) => sender.send(record(value.repeat(200), 0))))
    await Promise.race([early, full.then(() => early)])
    assert.deepEqual(cluster.log('t', 1), ['early'])
    await sender.close()
    await full.catch(() => {})
  })
})

test("the sender uses a large batch's memory again, once all is said", async () => {
  const { cluster, sender } = setUp()
  const seen = live(cluster)
  cluster.lead('t', [1])
  await sender.send(record('a'.repeat(LARGE)))
  await sender.send(record('b'.repeat(LARGE)))
  assert.equal(seen[1]!.buffer, seen[0]!.buffer)
  assert.deepEqual(cluster.log('t'), ['a'.repeat(LARGE), 'b'.repeat(LARGE)])
})
