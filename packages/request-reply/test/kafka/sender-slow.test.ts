import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { PartitionResult } from '../../src/transport/kafka/sending/produce.ts'
import { refuse } from './fake-cluster.ts'
import { record, sendAll, setUp } from './sender-bench.ts'

const REQUEST_TIMED_OUT = 7

describe('a partition whose replicas keep its leader waiting', () => {
  /** Partition 1 has no replica that answers: within a short wait its records are appended, and not acknowledged. */
  function open() {
    const { cluster, sender } = setUp()
    const replicas = Promise.withResolvers<void>()
    let dead = true
    void replicas.promise.then(() => (dead = false))
    cluster.lead('t', [1, 1])
    cluster.behaviour = (request) => {
      if (!dead || request.batches.every(({ partition }) => partition === 0)) return undefined
      const results = cluster.appendAll(request)
      const overdue = refuse(request, REQUEST_TIMED_OUT)
      const short = results.map((one, index): PartitionResult =>
        one.partition === 1 ? overdue[index]! : one,
      )
      if (request.patience === 'short') return Promise.resolve(short)
      return replicas.promise.then(() => results)
    }
    return { cluster, sender, replicas }
  }

  test('holds up none of the others that its leader has', async () => {
    const { cluster, sender, replicas } = open()
    let acknowledged = false
    const slow = sender.send(record('slow', 1)).then(() => (acknowledged = true))
    await sendAll(sender, ['beside it'], 0)
    for (const value of ['1', '2', '3']) await sendAll(sender, [value], 0)
    assert.equal(acknowledged, false)
    const waited = cluster.requests.filter(
      ({ patience, batches }) => patience === 'short' && batches.some(({ partition }) => partition === 1),
    )
    assert.equal(waited.length, 1, 'they have waited for it once')
    replicas.resolve()
    await slow
    assert.deepEqual(cluster.log('t', 0), ['beside it', '1', '2', '3'])
    assert.deepEqual(cluster.violations, [])
  })

  test('keeps its order, has each record once, and goes with the others again when it is through', async () => {
    const { cluster, sender, replicas } = open()
    const slow = [sender.send(record('a', 1)), sender.send(record('b', 1))]
    await sendAll(sender, ['beside them'], 0)
    slow.push(sender.send(record('c', 1)))
    replicas.resolve()
    await Promise.all(slow)
    await sendAll(sender, ['d'], 1)
    assert.deepEqual(cluster.log('t', 1), ['a', 'b', 'c', 'd'])
    assert.deepEqual(cluster.requests.at(-1)!.patience, 'short')
    assert.deepEqual(cluster.violations, [])
  })
})
