import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setUp, first, record, sendAll, loseAnswer, loseRequest, answer, codes } from './sender-bench.ts'

describe('the sender’s identity', () => {
  test('goes to the next epoch when the log has lost what came before, and no record is lost or overtaken', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    await sendAll(sender, ['a', 'b', 'c'])
    cluster.expect('t', 0, 100n, 1)
    await sendAll(sender, ['d', 'e'])
    assert.deepEqual(cluster.log('t'), ['a', 'b', 'c', 'd', 'e'])
    const last = cluster.requests.at(-1)!.batches[0]!
    assert.deepEqual([last.epoch, last.sequence], [1, 0])
  })

  test('is a new one when the broker does not know the producer', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    cluster.behaviour = first(answer(codes.unknownProducerId))
    await sendAll(sender, ['a', 'b'])
    assert.deepEqual(cluster.log('t'), ['a', 'b'])
    assert.equal(cluster.requests.at(-1)!.batches[0]!.producerId, 101n)
  })

  test('does not send a batch again that may be in the log: its records end as unknown, later ones go', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    cluster.behaviour = first(loseAnswer(cluster), answer(codes.outOfOrderSequence))
    const doubtful = sender.send(record('a'))
    await assert.rejects(doubtful, { code: 'MILENA_SEND_UNKNOWN', sent: 'unknown', outcomeKnown: false })
    await sendAll(sender, ['b'])
    assert.deepEqual(cluster.log('t'), ['a', 'b'])
  })

  for (const early of [true, false]) {
    const when = early ? 'before' : 'after'
    test(`of a batch that was given up is not used again: its late arrival ${when} the next one harms nothing`, async () => {
      const { cluster, sender } = setUp({ deliveryTimeout: 1_500 })
      cluster.lead('t', [1])
      await sendAll(sender, ['first'])
      cluster.behaviour = loseRequest
      await assert.rejects(sender.send(record('ghost')), { code: 'MILENA_SEND_UNKNOWN', sent: 'unknown' })
      cluster.behaviour = () => undefined
      const ghost = cluster.requests.at(-1)!.batches[0]!
      // A broker that hung reads what lay in its socket.
      if (early) assert.equal(cluster.append(ghost).errorCode, 0)
      await sendAll(sender, ['next'])
      if (!early) assert.equal(cluster.append(ghost).errorCode, codes.invalidProducerEpoch)
      assert.deepEqual(cluster.log('t'), early ? ['first', 'ghost', 'next'] : ['first', 'next'])
    })
  }

  test('begins the next epoch before sequence numbers run out (trap N14)', async () => {
    const { cluster, sender } = setUp({ firstSequence: 2 ** 31 - 3 })
    cluster.lead('t', [1])
    await sendAll(sender, ['a', 'b'])
    await sendAll(sender, ['c', 'd'])
    await sendAll(sender, ['e'])
    assert.deepEqual(cluster.log('t'), ['a', 'b', 'c', 'd', 'e'])
    assert.deepEqual(
      cluster.requests.map(({ batches: [batch] }) => [batch!.epoch, batch!.sequence]),
      [
        [0, 2 ** 31 - 3],
        [1, 0],
        [1, 2],
      ],
    )
  })

  test('is in a later epoch after a topic was forgotten: new records are not taken for old ones', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    await sendAll(sender, ['a'])
    cluster.lead('t', [], { missing: true, errorCode: codes.unknownTopic })
    cluster.behaviour = first(answer(codes.unknownTopic))
    await assert.rejects(sender.send(record('lost')), { code: 'MILENA_TOPIC_MISSING', sent: 'no' })
    await cluster.refresh()
    assert.equal(cluster.watched.get('t'), 0)
    cluster.lead('t', [1])
    await sendAll(sender, ['b'])
    assert.deepEqual(cluster.log('t'), ['a', 'b'])
  })
})
