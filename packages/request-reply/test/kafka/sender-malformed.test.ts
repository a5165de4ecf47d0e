import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { MilenaError } from '../../src/errors.ts'
import type { OutgoingRecord } from '../../src/transport/transport.ts'
import { malformedRecords } from '../../src/testing/transport-contract/malformed-records.ts'
import { gate, record, sendAll, setUp } from './sender-bench.ts'
import { until } from './until.ts'

const refused = { name: 'TransportError', code: 'MILENA_NOT_SENT', sent: 'no', retryable: false }

describe('the sender says of what cannot be sent that it was not sent', () => {
  test('when it is no record, and what is wrong', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    const neighbour = sender.send(record('a'))
    for (const [what, one, words] of malformedRecords('t')) {
      await assert.rejects(
        sender.send(one),
        (error: MilenaError) => {
          for (const [name, value] of Object.entries(refused))
            assert.equal(error[name as keyof MilenaError], value, what)
          assert.match(error.message, words, what)
          assert.doesNotMatch(error.message, /secret/)
          return true
        },
        what,
      )
    }
    await neighbour
    assert.deepEqual(cluster.log('t'), ['a'])
    assert.deepEqual(sender.sending(), { records: 0, bytes: 0 })
  })

  test('when it has been changed since it was given; its neighbours go', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    await sendAll(sender, ['warm up'])
    const held = gate(cluster)
    const before = sender.send(record('a'))
    await until('the request', () => held.waiting.length === 1)
    const headers: [Buffer, Buffer][] = []
    const changed: OutgoingRecord = { ...record('changed'), headers }
    const sent = assert.rejects(sender.send(changed), refused)
    const neighbours = sendAll(sender, ['b', 'c'])
    headers.push([Buffer.from('more'), Buffer.alloc(10)])
    held.release()
    await until('the next request', () => held.waiting.length === 2)
    held.release()
    await Promise.all([before, sent, neighbours])
    assert.deepEqual(cluster.log('t'), ['warm up', 'a', 'b', 'c'])
    assert.deepEqual(sender.sending(), { records: 0, bytes: 0 })
  })

  test('when the codec fails', async () => {
    const { cluster, sender } = setUp({ compression: 'there is none' as 'none' })
    cluster.lead('t', [1])
    const results = await Promise.allSettled(['a', 'b'].map((value) => sender.send(record(value))))
    for (const result of results) {
      assert.equal(result.status, 'rejected')
      const { code, sent, retryable, message, cause } = result.reason as MilenaError
      assert.deepEqual({ code, sent, retryable }, { code: 'MILENA_NOT_SENT', sent: 'no', retryable: false })
      assert.match(message, /topic t, partition 0: not sent, since it cannot be put into a batch/)
      assert.ok(cause instanceof TypeError)
    }
    assert.equal(cluster.requests.length, 0)
    assert.deepEqual(sender.sending(), { records: 0, bytes: 0 })
  })
})
