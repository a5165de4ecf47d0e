import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TransportError, type MilenaError } from '../../src/errors.ts'
import { refuse } from './fake-cluster.ts'
import { until } from './until.ts'
import { setUp, first, record, numbers, sendAll, answer, codes } from './sender-bench.ts'

describe('the sender rejects', () => {
  test('what was never sent as not sent, when its time is over', async () => {
    const { cluster, sender } = setUp({ deliveryTimeout: 200 })
    cluster.lead('t', [-1])
    const error = { code: 'MILENA_NOT_SENT', sent: 'no', outcomeKnown: true, retryable: true }
    await assert.rejects(sender.send(record('a')), error)
    await assert.rejects(sender.send(record('a', 0, 'never heard of')), error)
    assert.equal(cluster.requests.length, 0)
  })

  test('a record for a topic that does not exist, and none for others (trap N6)', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1, -1])
    cluster.lead('gone', [], { errorCode: codes.unknownTopic, missing: true })
    cluster.lead('secret', [], { errorCode: codes.topicAuthorizationFailed })
    const waiting = sender.send(record('no leader', 1)).catch((error: MilenaError) => error.code)
    const results = await Promise.allSettled([
      sender.send(record('a', 0, 'gone')),
      sender.send(record('b', 0, 'secret')),
      sender.send(record('c')),
    ])
    assert.deepEqual(
      results.map((one) => (one.status === 'rejected' ? (one.reason as MilenaError).code : 'sent')),
      ['MILENA_TOPIC_MISSING', 'MILENA_NOT_AUTHORIZED', 'sent'],
    )
    await sender.close()
    assert.equal(await waiting, 'MILENA_CLOSED')
  })

  test('a partition that the topic does not have, instead of writing to another (trap N7)', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    for (const partition of [1, 9, -1, 0.5, Number.NaN]) {
      const error = { code: 'MILENA_PARTITION_MISSING', sent: 'no' }
      await assert.rejects(sender.send(record('a', partition)), error, String(partition))
    }
    assert.deepEqual(cluster.log('t'), [])
  })

  test('no record for a partition that has just been added', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    await sendAll(sender, ['a'])
    cluster.lead('t', [1, 1])
    await sendAll(sender, ['b'], 1)
    assert.deepEqual(cluster.log('t', 1), ['b'])
  })

  test('no record for a partition that one broker does not know yet', async () => {
    for (const leader of [1, -1]) {
      const { cluster, sender } = setUp()
      cluster.lead('t', [1, 1, leader])
      await cluster.refresh()
      const first = leader === 1 ? Promise.resolve() : sendAll(sender, ['while it has no leader'], 2)
      cluster.lead('t', [1, 1])
      await cluster.refresh()
      const second = sendAll(sender, ['b'], 2)
      await until('it is asked again', () => cluster.refreshes >= 4)
      cluster.lead('t', [1, 1, 1])
      await Promise.all([first, second])
      assert.equal(cluster.log('t', 2).at(-1), 'b')
    }
  })

  test('only the record that is too large, wherever it stands, and keeps the order of the others', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    await sendAll(sender, ['warm up'])
    cluster.behaviour = (request) =>
      request.batches.some((batch) => batch.values.includes('huge'))
        ? Promise.resolve(refuse(request, codes.messageTooLarge))
        : undefined
    const values = numbers(20).toSpliced(13, 0, 'huge').toSpliced(5, 0, 'huge')
    const results = await Promise.allSettled(values.map((value) => sender.send(record(value))))
    const outcomes = results.map((one) =>
      one.status === 'rejected' ? (one.reason as MilenaError).code : 'sent',
    )
    const wanted = values.map((value) => (value === 'huge' ? 'MILENA_RECORD_TOO_LARGE' : 'sent'))
    assert.deepEqual(outcomes, wanted)
    assert.deepEqual(cluster.log('t'), ['warm up', ...numbers(20)])
  })

  test('only the records that the broker finds fault with', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    await sendAll(sender, ['warm up'])
    cluster.behaviour = first(async (request) => {
      const [result] = refuse(request, codes.invalidRecord)
      return [{ ...result!, guilty: [1], message: 'no key' }]
    })
    const results = await Promise.allSettled(['a', 'bad', 'b'].map((value) => sender.send(record(value))))
    const bad = results[1] as PromiseRejectedResult
    assert.match((bad.reason as MilenaError).message, /INVALID_RECORD/)
    assert.equal((bad.reason as MilenaError).code, 'MILENA_BROKER_ERROR')
    assert.deepEqual(cluster.log('t'), ['warm up', 'a', 'b'])
  })

  test('at once what a lost right or a refused login makes hopeless (trap N8)', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    cluster.behaviour = first(answer(codes.topicAuthorizationFailed))
    await assert.rejects(sender.send(record('a')), { code: 'MILENA_NOT_AUTHORIZED', sent: 'no' })
    cluster.connectError = new TransportError('MILENA_AUTHENTICATION_FAILED', 'wrong password')
    await assert.rejects(sender.send(record('b')), { code: 'MILENA_AUTHENTICATION_FAILED', sent: 'no' })
  })
})
