import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { errorCodes, startEmbeddedKafka } from '../src/index.ts'
import { MalformedError } from '../src/wire/malformed-error.ts'
import { Reader } from '../src/wire/reader.ts'
import { ResponseTooLargeError } from '../src/wire/response-too-large-error.ts'
import { Writer } from '../src/wire/writer.ts'
import { makeBatch } from './support/batches.ts'
import { fetch, fetchRequest, produce } from './support/calls.ts'
import { RawClient } from './support/raw-client.ts'
import { until } from './support/until.ts'

/** FindCoordinator of so many keys without a letter: a byte each. */
function manyKeys(count: number): Parameters<RawClient['request']>[0] {
  return {
    key: 10,
    version: 4,
    flexible: true,
    body: (writer) => {
      writer.int8(0)
      writer.uvarint(count + 1)
      writer.raw(Buffer.alloc(count, 1))
      writer.tags()
    },
  }
}

test('a request of more than maxRequestElements costs its connection before anything is made of it', async () => {
  const lines: string[] = []
  await using broker = await startEmbeddedKafka({
    maxRequestElements: 5000,
    report: (line) => lines.push(line),
  })
  await using client = await RawClient.open(broker.port)
  assert.ok((await client.request(manyKeys(5000))).remaining > 0)
  client.send(manyKeys(5001))
  await client.closed
  assert.match(lines.join(), /malformed FindCoordinator v4: more than 5000 elements \(maxRequestElements\)/)
})

test('elements are counted over all arrays of a request, nested ones and tagged fields included', () => {
  const nested = new Writer(true)
  nested.array([1, 2, 3], () => nested.array([1, 2], (value) => nested.int8(value)))
  const bytes = nested.toBuffer()
  assert.equal(new Reader(bytes, true, 0, 9).array((one) => one.array(() => one.int8())).length, 3)
  assert.throws(
    () => new Reader(bytes, true, 0, 8).array((one) => one.array(() => one.int8())),
    MalformedError,
  )
  const tags = Buffer.from([3, 0, 0, 1, 0, 2, 0])
  new Reader(tags, true, 0, 3).tags()
  assert.throws(() => new Reader(tags, true, 0, 2).tags(), MalformedError)
})

test('a name that is asked for many times is answered once, at every API that would repeat itself', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  const times = 1000
  const partitions = (writer: Writer, fields: () => void): void => {
    writer.array(['t'], (topic) => {
      writer.string(topic)
      writer.array(Array.from({ length: times }), () => {
        writer.int32(0)
        fields()
      })
    })
  }
  const requests: readonly (readonly [key: number, version: number, body: (writer: Writer) => void])[] = [
    [
      2,
      1,
      (writer) => {
        writer.int32(-1)
        partitions(writer, () => writer.int64(-1))
      },
    ],
    [
      9,
      5,
      (writer) => {
        writer.string('g')
        partitions(writer, () => {})
      },
    ],
    [
      23,
      2,
      (writer) =>
        partitions(writer, () => {
          writer.int32(-1)
          writer.int32(0)
        }),
    ],
    [
      32,
      1,
      (writer) => {
        writer.array(Array.from({ length: times }), () => {
          writer.int8(4)
          writer.string('')
          writer.nullableArray(['node.id'], (name) => writer.string(name))
        })
        writer.boolean(false)
      },
    ],
  ]
  for (const [key, version, body] of requests) {
    const { remaining } = await client.request({ key, version, body })
    assert.ok(remaining < 100, `API ${key} answers with ${remaining} bytes`)
  }
  assert.ok((await client.request(manyKeys(times))).remaining < 100)
})

test('an answer of more than maxResponseBytes is not made, and costs the connection that asked', async () => {
  const lines: string[] = []
  await using broker = await startEmbeddedKafka({
    topics: ['t:3000'],
    maxResponseBytes: 64 * 1024,
    report: (line) => lines.push(line),
  })
  await using bystander = await RawClient.open(broker.port)
  await using client = await RawClient.open(broker.port)
  client.send({ key: 3, version: 1, body: (writer) => writer.nullableArray(null, () => {}) })
  await client.closed
  assert.match(
    lines.join(),
    /the answer to Metadata v1 would have more than 65536 bytes \(maxResponseBytes\)/,
  )
  // Records are passed on without a copy and do not count.
  const records = makeBatch({ values: ['x'.repeat(200_000)] })
  await produce(bystander, { topic: 't', records })
  const [partition] = (await fetch(bystander, { topic: 't' })).partitions
  assert.equal(partition?.records?.length, records.length)
})

test('a writer keeps to its bound to the byte, before and after records', () => {
  const writer = new Writer(false, 16, 100)
  writer.raw(Buffer.alloc(40))
  writer.records([Buffer.alloc(1000)])
  writer.raw(Buffer.alloc(56))
  assert.throws(() => writer.int8(1), ResponseTooLargeError)
})

/** The beginning of a request of 50 MB. */
function unfinished(size: number): Buffer {
  const bytes = Buffer.alloc(size)
  bytes.writeInt32BE(50_000_000, 0)
  return bytes
}

test('when received bytes reach their bound, the connection that holds the most goes, not the one that comes last', async () => {
  const lines: string[] = []
  await using broker = await startEmbeddedKafka({
    topics: ['t'],
    maxQueuedBytes: 1_000_000,
    report: (line) => lines.push(line),
  })
  const [small, hog] = await Promise.all([RawClient.open(broker.port), RawClient.open(broker.port)])
  small.write(unfinished(200_000))
  hog.write(unfinished(700_000))
  await using innocent = await RawClient.open(broker.port)
  const records = makeBatch({ values: ['x'.repeat(400_000)] })
  await until(async () => {
    assert.equal((await produce(innocent, { topic: 't', records })).error, errorCodes.NONE)
    return lines.length > 0
  }, 'the bound was reached')
  await hog.closed
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /more than 1000000 bytes waiting \(maxQueuedBytes\), this one the most/)
  assert.equal(broker.stats().connections, 2)
  await small.close()
})

test('when answers that nobody takes reach their bound, the connection that takes the fewest goes', async () => {
  const lines: string[] = []
  await using broker = await startEmbeddedKafka({
    topics: ['t'],
    maxUnsentBytes: 60_000_000,
    report: (line) => lines.push(line),
  })
  await using producer = await RawClient.open(broker.port)
  const records = makeBatch({ values: ['x'.repeat(1_000_000)] })
  for (let sent = 0; sent < 30; sent += 1) await produce(producer, { topic: 't', records })
  const lag = async (bytes: number): Promise<RawClient> => {
    const client = await RawClient.open(broker.port)
    client.pause()
    client.send(fetchRequest({ topic: 't', maxBytes: bytes, partitionMaxBytes: bytes }))
    return client
  }
  const some = await lag(15_000_000)
  const most = await lag(30_000_000)
  const last = await lag(15_000_000)
  const further = await lag(15_000_000)
  await until(() => lines.length > 0, 'the bound was reached')
  assert.equal(lines.length, 1, lines.join('\n'))
  assert.match(lines[0] ?? '', /maxUnsentBytes\), this one the most: (2[5-9]|30)\d{6}$/)
  await until(() => broker.stats().connections === 4, 'it is gone')
  for (const client of [some, last, further]) client.resume()
  assert.equal((await produce(producer, { topic: 't', records })).error, errorCodes.NONE)
  await Promise.all([some, most, last, further].map((client) => client.close()))
})

test('when all connections are in use, the one that was idle for the longest gives way, and none that waits', async (t) => {
  t.after(() => mock.timers.reset())
  await using broker = await startEmbeddedKafka({ topics: ['t'], maxConnections: 3 })
  await using waiting = await RawClient.open(broker.port)
  const parked = fetch(waiting, { topic: 't', maxWaitMs: 2_000_000 })
  await until(() => broker.stats().parkedRequests === 1, 'the fetch is parked')
  const now = Date.now()
  mock.timers.enable({ apis: ['Date'], now: now + 1 })
  await using idle = await RawClient.open(broker.port)
  await fetch(idle, { topic: 't' })
  mock.timers.setTime(now + 8_000)
  await using lately = await RawClient.open(broker.port)
  await fetch(lately, { topic: 't' })
  mock.timers.setTime(now + 11_000)
  await using newcomer = await RawClient.open(broker.port)
  await idle.closed
  assert.equal((await produce(newcomer, { topic: 't', records: makeBatch() })).error, errorCodes.NONE)
  assert.equal((await fetch(lately, { topic: 't' })).error, errorCodes.NONE)
  assert.equal((await parked).partitions[0]?.highWatermark, 1)
})

/** ListOffsets by a time between the two records of a batch, so that it is unpacked. */
function listByTime(indexes: readonly number[]): Parameters<RawClient['request']>[0] {
  return {
    key: 2,
    version: 1,
    body: (writer) => {
      writer.int32(-1)
      writer.array(['t'], (topic) => {
        writer.string(topic)
        writer.array(indexes, (index) => {
          writer.int32(index)
          writer.int64(500)
        })
      })
    },
  }
}

test('many requests that one connection sends at once let other connections have their turns', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t', 'other'] })
  await using asking = await RawClient.open(broker.port)
  await using bystander = await RawClient.open(broker.port)
  const packed = makeBatch({ values: ['x'.repeat(7_000_000)], attributes: 4, compress: zstdCompressSync })
  assert.equal((await produce(asking, { topic: 't', records: packed })).error, errorCodes.NONE)
  const order: string[] = []
  const listed = Array.from({ length: 100 }, () => asking.request(listByTime([0])))
  const all = Promise.all(listed).then(() => order.push('listed'))
  for (let asked = 0; asked < 3; asked += 1) await fetch(bystander, { topic: 'other' })
  order.push('others')
  await all
  assert.deepEqual(order, ['others', 'listed'])
})

test('a request that unpacks much lets other connections have their turns', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t:20', 'other'] })
  await using asking = await RawClient.open(broker.port)
  await using bystander = await RawClient.open(broker.port)
  const packed = makeBatch({ values: ['x'.repeat(9_000_000)], attributes: 4, compress: zstdCompressSync })
  for (let partition = 0; partition < 20; partition += 1) {
    const { error } = await produce(asking, { topic: 't', partition, records: packed })
    assert.equal(error, errorCodes.NONE)
  }
  const order: string[] = []
  const indexes = Array.from({ length: 20 }, (_, index) => index)
  const listed = asking.request(listByTime(indexes)).then(() => order.push('listed'))
  for (let asked = 0; asked < 3; asked += 1) await fetch(bystander, { topic: 'other' })
  order.push('others')
  await listed
  assert.deepEqual(order, ['others', 'listed'])
})
