import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { MilenaError } from '../../src/errors.ts'
import type { Sender } from '../../src/transport/kafka/sending/sender.ts'
import type { OutgoingRecord } from '../../src/transport/transport.ts'
import { partitionForKey } from '../../src/transport/partitioner.ts'
import { refuse } from './fake-cluster.ts'
import { answer, codes, first, gate, loseAnswer, numbers, record, sendAll, setUp } from './sender-bench.ts'
import { until } from './until.ts'

const takenBack = {
  code: 'MILENA_NOT_SENT',
  sent: 'no',
  outcomeKnown: true,
  retryable: true,
  message: /topic t.*taken back before it was sent/,
}

/** Sends each; what becomes of them is one list of values and codes. */
function sendEach(sender: Sender, records: readonly OutgoingRecord[]): Promise<string[]> {
  return Promise.all(
    records.map((one) =>
      sender.send(one).then(
        () => String(one.value),
        (error: MilenaError) => error.code,
      ),
    ),
  )
}

describe('the sender gives a record back', () => {
  test('that waits for its topic to be known', async () => {
    const { cluster, sender } = setUp()
    const records = ['a', 'b', 'c'].map((value) => record(value))
    const sent = sendEach(sender, records)
    assert.equal(sender.withdraw(records[1]!), true)
    assert.equal(sender.withdraw(records[1]!), false)
    cluster.lead('t', [1])
    assert.deepEqual(await sent, ['a', 'MILENA_NOT_SENT', 'c'])
    assert.deepEqual(cluster.log('t'), ['a', 'c'])
  })

  test('that waits for the request before it, and says that it was not sent', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    await sendAll(sender, ['warm up'])
    const held = gate(cluster)
    const flying = record('a')
    const [b, c, d] = ['b', 'c', 'd'].map((value) => record(value))
    const results = [sender.send(flying)]
    await until('the request', () => held.waiting.length === 1)
    results.push(sender.send(b!), sender.send(d!))
    const regretted = sender.send(c!)
    assert.equal(sender.withdraw(flying), false)
    assert.equal(sender.withdraw(c!), true)
    await assert.rejects(regretted, takenBack)
    held.release()
    await until('the next request', () => held.waiting.length === 2)
    held.release()
    await Promise.all(results)
    assert.deepEqual(cluster.log('t'), ['warm up', 'a', 'b', 'd'])
    assert.equal(sender.withdraw(flying), false)
  })

  test('that a broker has refused for now: certainly never appended', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    cluster.behaviour = first(async (request) => {
      cluster.lead('t', [-1])
      return refuse(request, codes.notEnoughReplicas)
    })
    const records = ['a', 'b', 'c'].map((value) => record(value))
    const sent = sendEach(sender, records)
    await until('a look for the leader', () => cluster.leader('t', 0) === undefined && cluster.refreshes > 2)
    assert.equal(sender.withdraw(records[0]!), true)
    cluster.lead('t', [1])
    assert.deepEqual(await sent, ['MILENA_NOT_SENT', 'b', 'c'])
    assert.deepEqual(cluster.log('t'), ['b', 'c'])
  })

  test('with a key, though the topic has grown since it was given', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [-1])
    await until('the topic to be known', () => {
      if (cluster.refreshes === 0) void cluster.refresh()
      return cluster.topic('t') !== undefined
    })
    const key = Buffer.from(numbers(100).find((one) => partitionForKey(Buffer.from(one), 2) === 1)!)
    const keyed: OutgoingRecord = { topic: 't', key, value: null, headers: [] }
    const sent = sender.send(keyed)
    cluster.lead('t', [-1, -1])
    await until('the topic has grown', () => cluster.topic('t')!.partitions.length === 2)
    assert.equal(sender.withdraw(keyed), true)
    await assert.rejects(sent, takenBack)
  })

  test('of many, whichever, and keeps the order of the others', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [-1])
    const records = numbers(10_000).map((value) => record(value))
    const sent = sendEach(sender, records)
    await until('the queue', () => cluster.refreshes > 1)
    const wanted = new Set<string>()
    // From the back, from the front, from anywhere.
    for (let i = 0; i < records.length; i++) {
      const at = i % 3 === 0 ? i : i % 3 === 1 ? records.length - i : (i * 7919) % records.length
      if (i % 5 === 0) wanted.add(String(at))
    }
    for (const one of records) if (!wanted.has(String(one.value))) assert.ok(sender.withdraw(one))
    for (const one of records.toReversed()) {
      if (Number(one.value) % 2 !== 0 || !wanted.delete(String(one.value))) continue
      assert.ok(sender.withdraw(one))
    }
    cluster.lead('t', [1])
    await sent
    assert.deepEqual(
      cluster.log('t'),
      [...wanted].toSorted((a, b) => Number(a) - Number(b)),
    )
  })

  test('and keeps nothing of it, while others wait', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const { cluster, sender } = setUp()
    cluster.lead('t', [-1])
    await cluster.refresh()
    const others = sendEach(
      sender,
      numbers(100).map((value) => record(value)),
    )
    let value: WeakRef<Buffer> | undefined
    await (() => {
      const one = { ...record('x'), value: Buffer.allocUnsafeSlow(1_000) }
      value = new WeakRef(one.value)
      const sent = assert.rejects(sender.send(one), takenBack)
      assert.ok(sender.withdraw(one))
      return sent
    })()
    await until('the value was collected', () => {
      collect()
      return value!.deref() === undefined
    })
    assert.equal(sender.sending().records, 100)
    await sender.close()
    await others
  })

  test('that lingers, and sends what comes later', async () => {
    const { cluster, sender } = setUp({ linger: 5 })
    cluster.lead('t', [1])
    await sendAll(sender, ['warm up'])
    const lone = record('lone')
    const sent = sendEach(sender, [lone])
    assert.equal(sender.withdraw(lone), true)
    await sent
    await sendAll(sender, ['next'])
    assert.deepEqual(cluster.log('t'), ['warm up', 'next'])
  })
})

describe('the sender does not give a record back', () => {
  test('whose batch is in doubt: it may be in the log', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    cluster.behaviour = first((request) => {
      cluster.lead('t', [-1])
      return loseAnswer(cluster)(request)
    })
    const doubtful = record('a')
    const sent = sendEach(sender, [doubtful])
    await until('a look for the leader', () => cluster.leader('t', 0) === undefined && cluster.refreshes > 2)
    assert.equal(sender.withdraw(doubtful), false)
    cluster.lead('t', [1])
    assert.deepEqual(await sent, ['a'])
    assert.deepEqual(cluster.log('t'), ['a'])
  })

  test('that it was never given, or that has settled', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    const [sent, refused] = [record('a'), record('b')]
    assert.equal(sender.withdraw(sent), false)
    await sender.send(sent)
    assert.equal(sender.withdraw(sent), false)
    assert.equal(sender.withdraw(record('a')), false)
    cluster.behaviour = answer(codes.topicAuthorizationFailed)
    await assert.rejects(sender.send(refused), { code: 'MILENA_NOT_AUTHORIZED' })
    assert.equal(sender.withdraw(refused), false)
  })
})
