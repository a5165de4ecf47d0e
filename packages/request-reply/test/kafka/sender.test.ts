import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { TransportError, type MilenaError } from '../../src/errors.ts'
import type { PartitionResult } from '../../src/transport/kafka/produce.ts'
import { Sender, type SenderSettings } from '../../src/transport/kafka/sender.ts'
import type { OutgoingRecord, RecordPosition } from '../../src/transport/transport.ts'
import { FakeCluster, refuse, type Behaviour, type SeenRequest } from './fake-cluster.ts'
import { until } from './until.ts'

const NOT_LEADER = 6
const UNKNOWN_TOPIC = 3
const REQUEST_TIMED_OUT = 7
const MESSAGE_TOO_LARGE = 10
const NOT_ENOUGH_REPLICAS = 19
const TOPIC_AUTHORIZATION_FAILED = 29
const OUT_OF_ORDER_SEQUENCE = 45
const INVALID_PRODUCER_EPOCH = 47
const UNKNOWN_PRODUCER_ID = 59
const INVALID_RECORD = 87

const open: Sender[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((sender) => sender.close()))
})

function setUp(settings: Partial<SenderSettings> = {}): { cluster: FakeCluster; sender: Sender } {
  const cluster = new FakeCluster()
  const sender = new Sender(cluster, {
    compression: 'none',
    batchSize: 900_000,
    linger: 0,
    deliveryTimeout: 20_000,
    closeTimeout: 100,
    ...settings,
  })
  open.push(sender)
  return { cluster, sender }
}

const record = (value: string, partition: number | undefined = 0, topic = 't'): OutgoingRecord => ({
  topic,
  partition,
  key: null,
  value: Buffer.from(value),
  headers: [],
})
const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index))
const sendAll = (sender: Sender, values: readonly string[], partition = 0): Promise<RecordPosition[]> =>
  Promise.all(values.map((value) => sender.send(record(value, partition))))
const offsets = (positions: readonly RecordPosition[]): number[] => positions.map((one) => one.offset)

/** More than a batch's memory is too small for to be used again. */
const LARGE = 20_000

/** The first batch of each request: its bytes where the sender has them, not as they were then. */
function live(cluster: FakeCluster): Buffer[] {
  const seen: Buffer[] = []
  const produce = cluster.produce.bind(cluster)
  cluster.produce = (node, batches) => {
    seen.push(batches[0]!.bytes)
    return produce(node, batches)
  }
  return seen
}

/** Does these to the first requests, one each, then what brokers do. */
function first(...behaviours: readonly Behaviour[]): Behaviour {
  let count = 0
  return (request) => behaviours[count++]?.(request)
}

/** The leader appends; its answer is lost with the connection. */
const loseAnswer =
  (cluster: FakeCluster): Behaviour =>
  async (request) => {
    cluster.appendAll(request)
    throw new Error('Connection closed')
  }
/** The request is lost with the connection before the leader read it. */
const loseRequest: Behaviour = () => Promise.reject(new Error('Connection closed'))
const answer =
  (code: number): Behaviour =>
  async (request) =>
    refuse(request, code)

/** Requests wait at the broker until they are let go. */
function gate(cluster: FakeCluster): { release(): void; readonly waiting: SeenRequest[] } {
  const waiting: SeenRequest[] = []
  let go: (() => void)[] = []
  cluster.behaviour = (request) => {
    waiting.push(request)
    return new Promise((resolve) => go.push(() => resolve(cluster.appendAll(request))))
  }
  return {
    waiting,
    release() {
      const all = go
      go = []
      for (const one of all) one()
    },
  }
}

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
      return refuse(request, NOT_LEADER)
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

  test('when replicas are too slow and the answer is REQUEST_TIMED_OUT although the record is there', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    cluster.behaviour = first(async (request) => {
      cluster.appendAll(request)
      return refuse(request, REQUEST_TIMED_OUT)
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
            wake = () => resolve(refuse(request, NOT_LEADER))
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
      return refuse(request, NOT_LEADER)
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
    cluster.behaviour = first(answer(NOT_ENOUGH_REPLICAS), answer(NOT_ENOUGH_REPLICAS))
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
    cluster.behaviour = first(answer(UNKNOWN_PRODUCER_ID))
    await sendAll(sender, ['a', 'b'])
    assert.deepEqual(cluster.log('t'), ['a', 'b'])
    assert.equal(cluster.requests.at(-1)!.batches[0]!.producerId, 101n)
  })

  test('does not send a batch again that may be in the log: its records end as unknown, later ones go', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    cluster.behaviour = first(loseAnswer(cluster), answer(OUT_OF_ORDER_SEQUENCE))
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
      if (!early) assert.equal(cluster.append(ghost).errorCode, INVALID_PRODUCER_EPOCH)
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
    cluster.lead('t', [], { missing: true, errorCode: UNKNOWN_TOPIC })
    cluster.behaviour = first(answer(UNKNOWN_TOPIC))
    await assert.rejects(sender.send(record('lost')), { code: 'MILENA_TOPIC_MISSING', sent: 'no' })
    await cluster.refresh()
    assert.equal(cluster.watched.get('t'), 0)
    cluster.lead('t', [1])
    await sendAll(sender, ['b'])
    assert.deepEqual(cluster.log('t'), ['a', 'b'])
  })
})

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
    cluster.lead('gone', [], { errorCode: UNKNOWN_TOPIC, missing: true })
    cluster.lead('secret', [], { errorCode: TOPIC_AUTHORIZATION_FAILED })
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

  test('only the record that is too large, wherever it stands, and keeps the order of the others', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    await sendAll(sender, ['warm up'])
    cluster.behaviour = (request) =>
      request.batches.some((batch) => batch.values.includes('huge'))
        ? Promise.resolve(refuse(request, MESSAGE_TOO_LARGE))
        : undefined
    const values = numbers(20).toSpliced(13, 0, 'huge').toSpliced(5, 0, 'huge')
    const results = await Promise.allSettled(values.map((value) => sender.send(record(value))))
    const codes = results.map((one) =>
      one.status === 'rejected' ? (one.reason as MilenaError).code : 'sent',
    )
    const wanted = values.map((value) => (value === 'huge' ? 'MILENA_RECORD_TOO_LARGE' : 'sent'))
    assert.deepEqual(codes, wanted)
    assert.deepEqual(cluster.log('t'), ['warm up', ...numbers(20)])
  })

  test('only the records that the broker finds fault with', async () => {
    const { cluster, sender } = setUp()
    cluster.lead('t', [1])
    await sendAll(sender, ['warm up'])
    cluster.behaviour = first(async (request) => {
      const [result] = refuse(request, INVALID_RECORD)
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
    cluster.behaviour = first(answer(TOPIC_AUTHORIZATION_FAILED))
    await assert.rejects(sender.send(record('a')), { code: 'MILENA_NOT_AUTHORIZED', sent: 'no' })
    cluster.connectError = new TransportError('MILENA_AUTHENTICATION_FAILED', 'wrong password')
    await assert.rejects(sender.send(record('b')), { code: 'MILENA_AUTHENTICATION_FAILED', sent: 'no' })
  })
})

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
