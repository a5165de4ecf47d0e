import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  AnswerMemory,
  RecordBatches,
  type Stretch,
} from '../../src/transport/kafka/batches/record-batches.ts'
import {
  batchAt,
  damaged,
  decode,
  garbage,
  marker,
  old,
  open,
  read,
  ROOM,
  seal,
  seen,
  stamps,
  text,
  TRANSACTIONAL,
} from './batch-bytes.ts'

describe('record batches', () => {
  test('are decoded from the wanted offset on, also when that lies within a batch', () => {
    const data = Buffer.concat([batchAt(10, text('a', 'b', 'c')), batchAt(13, text('d'))])
    assert.deepEqual(decode(data, 11), {
      values: ['b', 'c', 'd'],
      offsets: [11, 12, 13],
      next: 14,
      reason: undefined,
    })
  })

  test('whose bytes do not match their CRC-32C are not handed over, those before them are (trap 14)', () => {
    const data = Buffer.concat([batchAt(0, text('good')), batchAt(1, text('bad')), batchAt(2, text('after'))])
    const at = data.indexOf('bad')
    data[at] = data[at]! ^ 1
    const got = decode(data)
    assert.deepEqual([got.values, got.next], [['good'], 1])
    assert.match(got.reason!, /CRC-32C/)
  })

  test('that are malformed though their CRC-32C is right are refused, never half of one handed over', () => {
    const data = batchAt(0, text('first', 'second'))
    const at = data.indexOf('second')
    data[at - 1] = 0x7f // a length far beyond the record
    seal(data)
    const got = decode(data)
    assert.deepEqual([got.values, got.next], [[], 0])
    assert.match(got.reason!, /beyond the end/)
  })

  test('give each record its own header names, whatever the record before has in their place', () => {
    const lists = [['aa', 'bb'], ['aa', 'bc'], ['ab'], [], ['abc', 'bb', 'cc'], ['abc', 'bb', 'cc']]
    const data = batchAt(
      0,
      lists.map((names) => ({ headers: new Map(names.map((name) => [Buffer.from(name), Buffer.of(1)])) })),
    )
    const records = read(data)
    assert.deepEqual(
      records.map(({ headers }) => headers.map(([name]) => String(name))),
      lists,
    )
  })

  test('that are cut off at the end are left for the next fetch', () => {
    const second = batchAt(1, text('second'))
    const data = Buffer.concat([batchAt(0, text('first')), second.subarray(0, second.length - 1)])
    assert.deepEqual(decode(data), { values: ['first'], offsets: [0], next: 1, reason: undefined })
  })

  test('of any bytes at all never throw, and never give a record that does not match its CRC-32C', () => {
    const good = batchAt(0, text('one', 'two', 'three'))
    for (let position = 0; position < good.length; position++) {
      const data = Buffer.from(good)
      data[position] = data[position]! ^ 0x55
      const { values } = decode(data)
      // The base offset, the length and the leader epoch are outside of the CRC: brokers set them.
      if (position >= 16 && values.length > 0) assert.fail(`byte ${position}: ${values.join()}`)
    }
  })

  test('of an aborted transaction are passed over up to its marker, those of others are not', () => {
    const data = Buffer.concat([
      batchAt(0, text('aborted'), TRANSACTIONAL, 7n),
      batchAt(1, text('other producer'), TRANSACTIONAL, 8n),
      batchAt(2, text('aborted too'), TRANSACTIONAL, 7n),
      marker(3, 0, 7n),
      batchAt(4, text('next transaction'), TRANSACTIONAL, 7n),
      marker(5, 1, 7n),
      marker(6, 1, 8n),
      batchAt(7, text('plain')),
    ])
    const got = decode(data, 0, [{ producerId: 7n, firstOffset: 0 }])
    assert.deepEqual(got.values, ['other producer', 'next transaction', 'plain'])
    assert.equal(got.next, 8)
  })

  test('keep null, empty and repeated apart: key, value, header values (trap 20)', () => {
    const headers = new Map([
      [Buffer.from('h'), Buffer.from('1')],
      [Buffer.from('h'), Buffer.from('2')],
      [Buffer.from('null'), null as never],
      [Buffer.from('empty'), Buffer.alloc(0)],
    ])
    const records = read(
      batchAt(0, [{ key: Buffer.alloc(0), value: null as never, headers }, { value: Buffer.alloc(0) }]),
    )
    assert.deepEqual(
      records.map(({ key, value }) => [key, value]),
      [
        [Buffer.alloc(0), null],
        [null, Buffer.alloc(0)],
      ],
    )
    assert.deepEqual(
      records[0]!.headers.map(([name, value]) => [String(name), value === null ? null : String(value)]),
      [
        ['h', '1'],
        ['h', '2'],
        ['null', null],
        ['empty', ''],
      ],
    )
  })

  test('give the timestamp of each record, or of the append where the topic says so', () => {
    const times = [1_700_000_000_000n, 1_700_000_000_005n, 1_699_999_999_990n]
    const messages = times.map((timestamp) => ({ timestamp, value: Buffer.from('v') }))
    assert.deepEqual(stamps(batchAt(0, messages)), times.map(Number))
    assert.deepEqual(
      stamps(batchAt(0, messages, 1 << 3)),
      [1, 1, 1].map(() => Number(times[1])),
    )
  })

  test('one by one: behind what cannot be read stand the next', () => {
    const data = Buffer.concat([
      batchAt(0, text('a')),
      damaged(batchAt(1, text('b', 'b'))),
      batchAt(3, text('c')),
    ])
    const batches = open(data)
    const first = batches.read()
    assert.deepEqual(seen(first).values, ['a'])
    const { range, certain } = first.obstacle!
    assert.deepEqual([range.topic, range.partition, range.offset, range.next, certain], ['t', 0, 1, 3, false])
    assert.equal(range.bytes, damaged(batchAt(1, text('b', 'b'))).length)
    assert.equal(batches.pass(first.obstacle!), true)
    assert.deepEqual(seen(batches.read()), { values: ['c'], offsets: [3], next: 4, reason: undefined })
  })

  for (const [name, make, reason] of garbage) {
    test(`that are right by their CRC-32C and wrong inside (${name}) are certain to stay so, and end where they say`, () => {
      const bad = batchAt(5, text('first', 'second', 'third'))
      const data = Buffer.concat([make(bad), batchAt(8, text('after'))])
      const batches = open(data, 6)
      const { records, next, obstacle } = batches.read()
      assert.deepEqual([records, next], [[], 6])
      assert.match(obstacle!.range.reason, reason)
      assert.deepEqual([obstacle!.range.offset, obstacle!.range.next, obstacle!.certain], [6, 8, true])
      batches.pass(obstacle!)
      assert.deepEqual(seen(batches.read()).values, ['after'])
    })
  }

  test('of the formats before Kafka 0.11 are passed over one message after the other', () => {
    const batches = open(Buffer.concat([old(0), old(1), batchAt(2, text('new'))]))
    for (const offset of [0, 1]) {
      const { obstacle } = batches.read()
      assert.deepEqual(
        [obstacle!.range.offset, obstacle!.range.next, obstacle!.certain],
        [offset, offset + 1, true],
      )
      assert.match(obstacle!.range.reason, /format 1/)
      batches.pass(obstacle!)
    }
    assert.deepEqual(seen(batches.read()).values, ['new'])
  })

  test('of the formats before Kafka 0.11: a compressed set is told from where the reading stands to its last', () => {
    const batches = open(Buffer.concat([old(2), old(9), batchAt(10, text('new'))]), 5)
    const { obstacle } = batches.read()
    assert.deepEqual([obstacle!.range.offset, obstacle!.range.next], [5, 10])
    batches.pass(obstacle!)
    assert.deepEqual(seen(batches.read()).values, ['new'])
  })

  test('whose format is damaged are not taken for old ones: it may be different the next time', () => {
    for (const format of [0, 1, 3]) {
      const bad = batchAt(3, text('a', 'b'))
      bad[16] = format
      const batches = open(Buffer.concat([bad, batchAt(5, text('c'))]), 3)
      const { obstacle } = batches.read()
      assert.deepEqual([obstacle!.range.offset, obstacle!.range.next, obstacle!.certain], [3, 5, false])
      batches.pass(obstacle!)
      assert.deepEqual(seen(batches.read()).values, ['c'])
    }
  })

  test('are handed over or told, each offset of them, whichever byte is damaged', () => {
    const log = [batchAt(3, text('a')), batchAt(4, text('b', 'c', 'd')), batchAt(7, text('e', 'f'))]
    // But for the first offset, which no checksum covers.
    for (let at = 8; at < log[1]!.length; at++) {
      for (const change of [0x01, 0x02, 0x80, 0xff]) {
        const bad = Buffer.from(log[1]!)
        bad[at] = bad[at]! ^ change
        const batches = open(Buffer.concat([log[0]!, bad, log[2]!]), 3)
        const known = new Set<number>()
        let stretch: Stretch
        do {
          stretch = batches.read()
          for (const { offset } of stretch.records) known.add(offset)
          const { offset, next } = stretch.obstacle?.range ?? { offset: 0, next: 0 }
          for (let one = offset; one < next; one++) known.add(one)
        } while (stretch.obstacle !== undefined && batches.pass(stretch.obstacle))
        const end = stretch.obstacle?.range.next ?? stretch.next
        for (let one = 3; one < end; one++) assert.ok(known.has(one), `byte ${at}: offset ${one}`)
      }
    }
  })

  test('that are damaged, their offsets too, are told up to the next that is whole', () => {
    const bad = batchAt(3, text('a', 'b', 'c', 'd'))
    bad.writeInt32BE(0, 23)
    const whole = open(Buffer.concat([bad, batchAt(7, text('e'))]), 3)
    const { obstacle } = whole.read()
    assert.deepEqual([obstacle!.range.offset, obstacle!.range.next, obstacle!.certain], [3, 7, false])
    whole.pass(obstacle!)
    assert.deepEqual(seen(whole.read()).offsets, [7])
    // What is not to be believed either says nothing.
    const next = open(Buffer.concat([bad, damaged(batchAt(7, text('e')))]), 3)
    assert.equal(next.read().obstacle!.range.next, 4)
  })

  test('that are damaged among aborted transactions may be a marker: what is behind them is fetched again', () => {
    const next = batchAt(2, text('next transaction'), TRANSACTIONAL, 7n)
    const data = Buffer.concat([
      batchAt(0, text('aborted'), TRANSACTIONAL, 7n),
      damaged(marker(1, 0, 7n)),
      next,
    ])
    const batches = open(data, 0, [{ producerId: 7n, firstOffset: 0 }])
    const { obstacle, records } = batches.read()
    assert.deepEqual([records, obstacle!.range.offset, obstacle!.range.next], [[], 1, 2])
    assert.equal(batches.pass(obstacle!), false)
    assert.deepEqual(decode(next, 2).values, ['next transaction'])
  })

  test('whose length is nonsense have no end in sight, and the offsets that their head names', () => {
    for (const length of [-1, 0, 48, 2 ** 31 - 1]) {
      const bad = batchAt(3, text('a', 'b'))
      bad.writeInt32BE(length, 8)
      const { obstacle } = open(Buffer.concat([bad, batchAt(5, text('c'))]), 3).read()
      assert.deepEqual([obstacle!.certain, obstacle!.behind, obstacle!.range.next], [false, undefined, 5])
    }
    const other = batchAt(3, text('a', 'b'))
    other.writeInt32BE(0, 8)
    other.writeInt32BE(2 ** 30, 23) // which does not agree with its count
    assert.equal(open(other, 3).read().obstacle!.range.next, 4)
  })

  test('of another partition than the first may be cut off at once', () => {
    const data = batchAt(0, text('large')).subarray(0, 60)
    const source = { topic: 't', partition: 0, position: 0, aborted: undefined, firstIsWhole: false }
    assert.equal(new RecordBatches(data, source, new AnswerMemory(ROOM)).read().obstacle, undefined)
    assert.match(open(data).read().obstacle!.range.reason, /cut off/)
  })

  test('that all stand before what was asked for are no progress', () => {
    assert.match(open(batchAt(0, text('a', 'b')), 7).read().obstacle!.range.reason, /before offset 7/)
  })

  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    test(`that would become more than the bound (${compression}) are not read, those beside them are`, () => {
      const limit = 100_000
      const bomb = batchAt(1, [{ value: Buffer.alloc(limit - 350) }], 0, -1n, compression)
      const most = batchAt(2, [{ value: Buffer.alloc(limit - 1_000) }], 0, -1n, compression)
      const data = Buffer.concat([batchAt(0, text('a')), bomb, most])
      const first = open(data, 1, undefined, new AnswerMemory(limit))
      const { records, obstacle } = first.read()
      assert.equal(records.length, 0)
      assert.match(obstacle!.range.reason, /100000 bytes .*maxBatchMemory.*1 records/)
      assert.deepEqual([obstacle!.certain, obstacle!.range.next], [true, 2])
      first.pass(obstacle!)
      // What it took to find out counts: one such batch for each answer.
      assert.deepEqual([first.read().records.length, first.full], [0, true])
      assert.equal(open(data, 2, undefined, new AnswerMemory(limit)).read().records.length, 1)
    })
  }

  test('of many tiny records, or one of many headers, count as what becomes of them', () => {
    const tiny = batchAt(
      0,
      Array.from({ length: 300 }, () => ({ value: null as never })),
    )
    const headers = new Map(Array.from({ length: 400 }, () => [Buffer.alloc(0), Buffer.alloc(0)] as const))
    for (const bomb of [tiny, batchAt(0, [{ headers }])]) {
      assert.match(
        open(bomb, 0, undefined, new AnswerMemory(110_000)).read().obstacle!.range.reason,
        /110000/,
      )
      assert.equal(open(bomb, 0, undefined, new AnswerMemory(150_000)).read().obstacle, undefined)
    }
    // Records that nobody asked for cost nothing.
    assert.equal(open(tiny, 298, undefined, new AnswerMemory(10_000)).read().records.length, 2)
  })

  test('are left for the next fetch when the answer has become enough, whatever partition they are of', () => {
    const memory = new AnswerMemory(100_000)
    const three = [0, 1, 2].map((offset) =>
      batchAt(offset, [{ value: Buffer.alloc(40_000) }], 0, -1n, 'gzip'),
    )
    const first = open(Buffer.concat(three), 0, undefined, memory)
    const { records, next, obstacle } = first.read()
    assert.deepEqual([records.length, next, obstacle, first.full], [2, 2, undefined, true])
    const other = open(three[2]!, 2, undefined, memory)
    assert.deepEqual([other.read().records.length, other.full], [0, true])
    const again = open(three[2]!, 2, undefined, new AnswerMemory(100_000))
    assert.deepEqual([again.read().records.length, again.full], [1, false])
  })

  test('that are not wanted are not unpacked', () => {
    const bad = batchAt(0, text('a', 'b'), 0, -1n, 'gzip')
    bad.fill(0, 61)
    seal(bad)
    assert.deepEqual(seen(open(Buffer.concat([bad, batchAt(2, text('c'))]), 2).read()).values, ['c'])
  })
})
