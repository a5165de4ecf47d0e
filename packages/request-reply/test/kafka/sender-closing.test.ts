import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setUp, gate, record, sendAll } from './sender-bench.ts'
import { until } from './until.ts'

describe('closing the sender', () => {
  test('acknowledges what comes back in time and rejects what was still queued (trap N12)', async () => {
    const { cluster, sender } = setUp({ closeTimeout: 20_000 })
    cluster.lead('t', [1])
    await sendAll(sender, ['a'])
    const held = gate(cluster)
    const flying = sender.send(record('b'))
    await until('the request', () => held.waiting.length === 1)
    const queued = assert.rejects(sender.send(record('c')), { code: 'MILENA_CLOSED', sent: 'no' })
    const closing = sender.close()
    await assert.rejects(sender.send(record('d')), { code: 'MILENA_CLOSED', sent: 'no' })
    held.release()
    await Promise.all([closing, queued])
    assert.equal((await flying).offset, 1)
  })

  test('ends although a broker never answers, and says that the outcome is unknown', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    await sendAll(sender, ['a'])
    cluster.behaviour = () => new Promise(() => undefined)
    const flying = assert.rejects(sender.send(record('b')), { code: 'MILENA_SEND_UNKNOWN', sent: 'unknown' })
    await until('the request', () => cluster.requests.length === 2)
    await sender.close()
    await flying
  })

  test('ends while it looks for a leader', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [-1])
    const stuck = assert.rejects(sender.send(record('a')), { code: 'MILENA_CLOSED', sent: 'no' })
    await until('a few looks', () => cluster.refreshes > 2)
    await sender.close()
    await stuck
  })
})
