import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { errorCodes, startEmbeddedKafka } from '../src/index.ts'
import type { EmbeddedKafka } from '../src/index.ts'
import type { Writer } from '../src/wire/writer.ts'
import { makeBatch } from './support/batches.ts'
import { fetch, fetchRequest, produce } from './support/calls.ts'
import { RawClient } from './support/raw-client.ts'
import type { RawRequest } from './support/raw-client.ts'
import { until } from './support/until.ts'

function frame(...bytes: readonly number[]): Buffer {
  const buffer = Buffer.alloc(4 + bytes.length)
  buffer.writeInt32BE(bytes.length, 0)
  buffer.set(bytes, 4)
  return buffer
}

function sized(size: number, ...bytes: readonly number[]): Buffer {
  const buffer = frame(...bytes)
  buffer.writeInt32BE(size, 0)
  return buffer
}

function timers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
}

/** The broker serves others as if nothing had happened. */
async function assertServes(broker: EmbeddedKafka): Promise<void> {
  await using client = await RawClient.open(broker.port)
  assert.equal((await produce(client, { topic: 't', records: makeBatch() })).error, errorCodes.NONE)
}

/** Metadata 7 of no topic, and of all. */
const nothing: RawRequest = {
  key: 3,
  version: 7,
  body: (writer) => writer.raw(Buffer.from([0, 0, 0, 0, 0])),
}

const everything: RawRequest = {
  key: 3,
  version: 7,
  body: (writer) => writer.raw(Buffer.from([0xff, 0xff, 0xff, 0xff, 0])),
}

const header = (key: number, version: number): number[] => [0, key, 0, version, 0, 0, 0, 1, 0, 0]
const hostile: readonly [string, Buffer][] = [
  ['an empty frame', frame()],
  ['a frame too short for a header', frame(0, 18, 0)],
  ['a negative length', sized(-1, 0, 0)],
  ['a length of two gigabytes', sized(2_147_483_647, 0, 0)],
  ['a length above the limit', sized(100 * 1024 * 1024 + 1, 0, 0)],
  ['text of another protocol', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
  ['a client id longer than its frame', frame(0, 3, 0, 9, 0, 0, 0, 1, 0x7f, 0xff, 65)],
  ['an API that does not exist', frame(0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0, 0)],
  ['Produce 2, which is told but not served', frame(...header(0, 2))],
  ['a version that is not told', frame(...header(3, 99))],
  ['a Metadata request of a billion topics', frame(...header(3, 7), 0x3b, 0x9a, 0xca, 0, 0)],
  ['a Fetch that is cut off', frame(...header(1, 4), 0, 0, 0)],
  ['a Produce that is cut off', frame(...header(0, 9), 0, 0, 1)],
  ['tags without end', frame(0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f)],
]
for (const [what, bytes] of hostile) {
  test(`${what} costs its connection and nothing else, with a line that says why`, async () => {
    const lines: string[] = []
    await using broker = await startEmbeddedKafka({ topics: ['t'], report: (line) => lines.push(line) })
    await using bystander = await RawClient.open(broker.port)
    await fetch(bystander, { topic: 't' })
    await using client = await RawClient.open(broker.port)
    client.write(bytes)
    await client.closed
    assert.equal(lines.length, 1, lines.join('\n'))
    assert.match(lines[0] ?? '', /^closed the connection of 127\.0\.0\.1:\d+: ./)
    assert.equal((await fetch(bystander, { topic: 't' })).error, errorCodes.NONE)
    await assertServes(broker)
  })
}

test('random bytes never end the broker', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  // A fixed sequence, so that a failure can be repeated.
  let state = 12_345
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const keys = [0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 32, 37, 42, 44, 47, 60]
  for (const key of keys) {
    for (let round = 0; round < 12; round += 1) {
      await using client = await RawClient.open(broker.port)
      const length = random(60)
      const noise = Array.from({ length }, () => (random(4) === 0 ? random(256) : random(3)))
      client.write(frame(...header(key, round), ...noise))
      client.end()
      await client.closed
    }
  }
  await assertServes(broker)
  await until(() => broker.stats().connections === 0, 'every connection is gone')
})

test('a request that trickles in a byte at a time is answered', async () => {
  await using broker = await startEmbeddedKafka()
  const socket = connect(broker.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.setNoDelay(true)
  const answered = once(socket, 'data')
  const clientId = Array.from({ length: 1500 }, () => 0x61)
  const request = frame(
    ...header(18, 0).slice(0, 8),
    clientId.length >> 8,
    clientId.length & 0xff,
    ...clientId,
  )
  for (const byte of request) {
    const sent = Promise.withResolvers<void>()
    socket.write(Buffer.of(byte), () => sent.resolve())
    await sent.promise
  }
  const [data] = (await answered) as [Buffer]
  assert.equal(data.readInt32BE(4), 1)
  socket.destroy()
})

test('many requests in one packet are all answered', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  const answers = Array.from({ length: 200 }, () => produce(client, { topic: 't', records: makeBatch() }))
  const offsets = (await Promise.all(answers)).map(({ baseOffset }) => baseOffset)
  assert.deepEqual(
    offsets,
    Array.from({ length: 200 }, (_, index) => index),
  )
})

test('requests before a malformed one in the same packet are answered', async () => {
  await using broker = await startEmbeddedKafka()
  const socket = connect(broker.port, '127.0.0.1')
  await once(socket, 'connect')
  const received: Buffer[] = []
  socket.on('data', (data: Buffer) => received.push(data))
  socket.on('error', () => {})
  const closed = once(socket, 'close')
  socket.write(Buffer.concat([frame(...header(18, 0)), frame(...header(18, 0)), sized(-1)]))
  await closed
  const answers = Buffer.concat(received)
  const first = 4 + answers.readInt32BE(0)
  assert.equal(answers.length, first * 2)
})

test('a connection that says nothing, or stops within a request, is closed; one that waits for records is not', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'], requestTimeoutMs: 1_000 })
  await using waiting = await RawClient.open(broker.port)
  const parked = fetch(waiting, { topic: 't', maxWaitMs: 2_000_000 })
  await until(() => broker.stats().parkedRequests === 1, 'the fetch is parked')
  await using silent = await RawClient.open(broker.port)
  await using stuck = await RawClient.open(broker.port)
  await fetch(stuck, { topic: 't' })
  stuck.write(frame(...header(3, 7)).subarray(0, 9))
  await Promise.all([silent.closed, stuck.closed])
  await assertServes(broker)
  assert.equal((await parked).partitions[0]?.highWatermark, 1)
})

test('a connection without requests is closed after the idle time', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'], idleTimeoutMs: 1_000 })
  await using client = await RawClient.open(broker.port)
  await fetch(client, { topic: 't' })
  await client.closed
})

test('a client that leaves while its fetch is parked leaves nothing behind', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  const before = timers()
  const leaving = await RawClient.open(broker.port)
  leaving.send(fetchRequest({ topic: 't', maxWaitMs: 2_000_000 }))
  await until(() => broker.stats().parkedRequests === 1, 'the fetch is parked')
  await leaving.close()
  await until(() => broker.stats().connections === 0, 'the connection is gone')
  await until(() => timers() <= before, 'the timer of the fetch is gone')
  const halfOpen = await RawClient.open(broker.port)
  halfOpen.send(fetchRequest({ topic: 't', maxWaitMs: 2_000_000 }))
  await until(() => broker.stats().parkedRequests === 1, 'the fetch is parked')
  halfOpen.end()
  await halfOpen.closed
})

test('a flood of silent connections gives way to those that speak, and those that spoke stay', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'], maxConnections: 20 })
  await using established = await RawClient.open(broker.port)
  await fetch(established, { topic: 't' })
  const flood = await Promise.all(Array.from({ length: 100 }, () => RawClient.open(broker.port)))
  await until(() => broker.stats().refusedConnections >= 81, 'the flood reached the limit')
  assert.ok(broker.stats().connections <= 20)
  await assertServes(broker)
  assert.equal((await fetch(established, { topic: 't' })).error, errorCodes.NONE)
  await Promise.all(flood.map((client) => client.close()))
})

test('when all connections are in use, one more is refused', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'], maxConnections: 2 })
  await using one = await RawClient.open(broker.port)
  await using two = await RawClient.open(broker.port)
  await fetch(one, { topic: 't' })
  await fetch(two, { topic: 't' })
  const three = await RawClient.open(broker.port)
  await three.closed
  assert.equal((await fetch(one, { topic: 't' })).error, errorCodes.NONE)
})

test('bytes that wait in all connections together are bounded', async () => {
  const lines: string[] = []
  await using broker = await startEmbeddedKafka({
    topics: ['t'],
    maxQueuedBytes: 300_000,
    report: (line) => lines.push(line),
  })
  const clients = await Promise.all(Array.from({ length: 8 }, () => RawClient.open(broker.port)))
  const half = Buffer.concat([sized(90_000), Buffer.alloc(80_000)])
  for (const client of clients) client.write(half)
  await until(() => lines.some((line) => line.includes('more than 300000 bytes')), 'the bound was reached')
  await Promise.all(clients.map((client) => client.close()))
  await until(() => broker.stats().connections === 0, 'all are gone')
  // What was handled, or went with its connection, no longer counts.
  await using client = await RawClient.open(broker.port)
  const records = makeBatch({ values: ['x'.repeat(100_000)] })
  for (let sent = 0; sent < 10; sent += 1) {
    assert.equal((await produce(client, { topic: 't', records })).baseOffset, sent)
  }
})

test('a client that takes no answers is not served further, while others are, and goes on when it reads', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t', 'behind'] })
  await using client = await RawClient.open(broker.port)
  const records = makeBatch({ values: ['x'.repeat(500_000)] })
  for (let sent = 0; sent < 20; sent += 1) await produce(client, { topic: 't', records })
  await using lagging = await RawClient.open(broker.port)
  lagging.pause()
  const big = { topic: 't', maxBytes: 50_000_000, partitionMaxBytes: 50_000_000 }
  for (let sent = 0; sent < 10; sent += 1) lagging.send(fetchRequest(big))
  const last = produce(lagging, { topic: 'behind', records: makeBatch() })
  for (let sent = 0; sent < 50; sent += 1) await assertServes(broker)
  assert.equal((await fetch(client, { topic: 'behind' })).partitions[0]?.highWatermark, 0)
  lagging.resume()
  assert.equal((await last).baseOffset, 0)
})

test('whoever asks for little is answered before those that asked for all, which are answered too', async () => {
  const topics = Array.from({ length: 20 }, (_, index) => `t${index}:1000`)
  await using broker = await startEmbeddedKafka({ topics })
  await using client = await RawClient.open(broker.port)
  const greedy = await Promise.all(Array.from({ length: 30 }, () => RawClient.open(broker.port)))
  // Until the broker has accepted them all.
  await Promise.all(greedy.map((one) => one.request(nothing)))
  const answers = Promise.all(greedy.map((one) => one.request(everything)))
  await client.request(nothing)
  const unmade = broker.stats().parkedRequests
  const sizes = (await answers).map(({ remaining }) => remaining)
  assert.ok(unmade > 25, `${unmade} of 30 were still to be made`)
  assert.equal(new Set(sizes).size, 1)
  assert.ok(sizes[0]! > 20_000 * 20)
  await Promise.all(greedy.map((one) => one.close()))
})

test('what a client sends behind a parked request waits in the network, and is handled afterwards', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t', 'behind'], maxQueuedBytes: 1_000_000 })
  await using eager = await RawClient.open(broker.port)
  const parked = fetch(eager, { topic: 't', maxWaitMs: 2_000_000 })
  await until(() => broker.stats().parkedRequests === 1, 'the fetch is parked')
  const records = makeBatch({ values: ['x'.repeat(100_000)] })
  const behind = Array.from({ length: 100 }, () => produce(eager, { topic: 'behind', records }))
  await using bystander = await RawClient.open(broker.port)
  for (let asked = 0; asked < 50; asked += 1) {
    assert.equal((await fetch(bystander, { topic: 'behind' })).partitions[0]?.highWatermark, 0)
  }
  await produce(bystander, { topic: 't', records: makeBatch() })
  await parked
  assert.equal((await Promise.all(behind)).at(-1)?.baseOffset, 99)
})

test('texts of the largest length are echoed and explained, not an end of the connection', async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  await using client = await RawClient.open(broker.port)
  const name = 'n'.repeat(32_767)
  const requests: [key: number, version: number, body: (writer: Writer) => void][] = [
    [3, 4, (writer) => writer.boolean(false)],
    [20, 3, (writer) => writer.int32(1000)],
    [37, 1, (writer) => writer.raw(Buffer.from([0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0, 0, 3, 0xe8, 0]))],
    [
      19,
      4,
      (writer) => writer.raw(Buffer.from([0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0xe8, 0])),
    ],
  ]
  for (const [key, version, rest] of requests) {
    const reader = await client.request({
      key,
      version,
      body: (writer) => {
        writer.int32(1)
        writer.string(name)
        rest(writer)
      },
    })
    assert.ok(reader.remaining > name.length, `API ${key}`)
  }
  const described = await client.request({
    key: 32,
    version: 2,
    body: (writer) => {
      writer.int32(1)
      writer.int8(2)
      writer.string(name)
      writer.nullableArray(null, () => {})
      writer.boolean(false)
    },
  })
  assert.ok(described.remaining > name.length)
})
