import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { PartitionResult } from '../../src/transport/kafka/sending/produce.ts'
import { refuse } from './fake-cluster.ts'
import { codes, first, gate, loseRequest, numbers, record, sendAll, setUp } from './sender-bench.ts'
import { until } from './until.ts'

const nothing = { records: 0, bytes: 0 }
const large = (value: string): string => value.repeat(1_000)

describe('what the sender holds counts', () => {
  test('while it waits for its topic, in a queue and in a request; and no longer', async () => {
    const { cluster, sender } = setUp()
    assert.deepEqual(sender.sending(), nothing)
    const held = gate(cluster)
    const one = sender.send(record(large('a')))
    const waiting = sender.sending()
    assert.equal(waiting.records, 1)
    assert.ok(waiting.bytes >= 1_000 && waiting.bytes < 1_100, String(waiting.bytes))
    cluster.lead('t', [1])
    await until('the request', () => held.waiting.length === 1)
    const flying = sender.sending()
    assert.equal(flying.records, 1)
    // The caller's bytes, and the batch that they were written into.
    assert.ok(flying.bytes >= 2_000 && flying.bytes < 2_300, String(flying.bytes))
    const more = sendAll(sender, numbers(20).map(large))
    assert.equal(sender.sending().records, 21)
    held.release()
    await until('the second request', () => held.waiting.length === 2)
    await one
    assert.equal(sender.sending().records, 20)
    held.release()
    await more
    assert.deepEqual(sender.sending(), nothing)
  })

  test('no longer when it was taken back', () => {
    const { sender } = setUp()
    const records = numbers(100).map((value) => record(large(value)))
    for (const one of records) sender.send(one).catch(() => undefined)
    assert.equal(sender.sending().records, 100)
    for (const one of records.toReversed()) sender.withdraw(one)
    assert.deepEqual(sender.sending(), nothing)
  })

  test('for as long as its batch is held, though its time is over', async () => {
    const { cluster, sender } = setUp({ deliveryTimeout: 200 })
    cluster.lead('t', [1])
    const held = gate(cluster)
    await assert.rejects(sender.send(record(large('a'))), { code: 'MILENA_SEND_UNKNOWN' })
    assert.equal(sender.sending().records, 1)
    assert.ok(sender.sending().bytes >= 2_000)
    held.release()
    await until('it was let go of', () => sender.sending().records === 0)
    assert.deepEqual(sender.sending(), nothing)
  })

  test('for as long as a hung broker’s request has it, though another has acknowledged it', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    const { promise, resolve } = Promise.withResolvers<PartitionResult[]>()
    cluster.behaviour = (request) => (request.node === 1 ? promise : undefined)
    const sent = sender.send(record('a'))
    await until('the request', () => cluster.requests.length === 1)
    cluster.lead('t', [2])
    await cluster.refresh()
    await sent
    assert.equal(sender.sending().records, 1)
    resolve([])
    await until('it was let go of', () => sender.sending().records === 0)
    assert.deepEqual(sender.sending(), nothing)
  })

  test('until it is given up, in doubt or refused', async () => {
    const { cluster, sender } = setUp({ deliveryTimeout: 300 })
    cluster.lead('t', [1])
    cluster.behaviour = loseRequest
    await assert.rejects(sender.send(record('a')), { code: 'MILENA_SEND_UNKNOWN' })
    await until('it was let go of', () => sender.sending().records === 0)
    assert.deepEqual(sender.sending(), nothing)
    cluster.behaviour = first(
      async (request) => refuse(request, codes.notEnoughReplicas),
      async (request) => refuse(request, codes.messageTooLarge),
      async (request) => [{ ...refuse(request, codes.invalidRecord)[0]!, guilty: [0] }],
    )
    await Promise.allSettled(['a', 'b', 'c', 'd'].map((value) => sender.send(record(value))))
    assert.deepEqual(sender.sending(), nothing)
  })

  test('until the sender is closed', async () => {
    const { cluster, sender } = setUp({ closeTimeout: 10_000 })
    cluster.lead('t', [1])
    const held = gate(cluster)
    const all = Promise.allSettled(['a', 'b'].map((value) => sender.send(record(value, 0))))
    await until('the request', () => held.waiting.length === 1)
    const queued = Promise.allSettled([sender.send(record('c')), sender.send(record('d', 0, 'unknown'))])
    const closing = sender.close()
    await queued
    assert.equal(sender.sending().records, 2)
    held.release()
    await Promise.all([closing, all])
    assert.deepEqual(sender.sending(), nothing)
  })
})
