import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MalformedError } from '../src/wire/malformed-error.ts'
import { Reader } from '../src/wire/reader.ts'
import { Writer } from '../src/wire/writer.ts'

for (const flexible of [false, true]) {
  test(`what is written ${flexible ? 'in the flexible' : 'in the older'} encoding reads back the same`, () => {
    const uuid = '01234567-89ab-cdef-0123-456789abcdef'
    const writer = new Writer(flexible, 8)
    writer.boolean(true)
    writer.int8(-5)
    writer.int16(-30_000)
    writer.int32(-2_000_000_000)
    for (const value of [0, 1, -1, 2 ** 53 - 1, -(2 ** 53) + 1, 4_294_967_296, -4_294_967_297])
      writer.int64(value)
    for (const value of [0, 127, 128, 16_384, 4_294_967_295]) writer.uvarint(value)
    for (const value of [0, -1, 1, -64, 64, 2_147_483_647, -2_147_483_648]) writer.varint(value)
    writer.uuid(uuid)
    writer.string('grüße')
    writer.nullableString(null)
    writer.nullableString('')
    writer.bytes(Buffer.from([1, 2, 3]))
    writer.nullableBytes(null)
    writer.records([Buffer.from('ab'), Buffer.from('cd')])
    writer.array(['x', 'y'], (value) => {
      writer.string(value)
      writer.tags()
    })
    writer.nullableArray(null, () => {})
    writer.tags()

    const length = writer.length
    const buffer = writer.toBuffer()
    assert.equal(buffer.length, length)
    const reader = new Reader(buffer, flexible)
    assert.equal(reader.boolean(), true)
    assert.equal(reader.int8(), -5)
    assert.equal(reader.int16(), -30_000)
    assert.equal(reader.int32(), -2_000_000_000)
    for (const value of [0, 1, -1, 2 ** 53 - 1, -(2 ** 53) + 1, 4_294_967_296, -4_294_967_297]) {
      assert.equal(reader.int64(), value)
    }
    for (const value of [0, 127, 128, 16_384, 4_294_967_295]) assert.equal(reader.uvarint(), value)
    for (const value of [0, -1, 1, -64, 64, 2_147_483_647, -2_147_483_648])
      assert.equal(reader.varint(), value)
    assert.equal(reader.uuid(), uuid)
    assert.equal(reader.string(), 'grüße')
    assert.equal(reader.nullableString(), null)
    assert.equal(reader.nullableString(), '')
    assert.deepEqual([...reader.bytes()], [1, 2, 3])
    assert.equal(reader.nullableBytes(), null)
    assert.equal(reader.bytes().toString(), 'abcd')
    const values = reader.array((one) => {
      const value = one.string()
      one.tags()
      return value
    })
    assert.deepEqual(values, ['x', 'y'])
    assert.equal(
      reader.nullableArray(() => 0),
      null,
    )
    reader.tags()
    assert.equal(reader.remaining, 0)
  })
}

test('records are passed on by reference', () => {
  const batch = Buffer.from('a batch')
  const writer = new Writer()
  writer.int32(7)
  writer.records([batch])
  writer.int32(8)
  assert.ok(writer.take().includes(batch))
})

test('a 64-bit varint keeps its sign', () => {
  // -3,000,000,000 in zigzag, as a record has it between its time and that of the batch.
  const reader = new Reader(Buffer.from([0xff, 0xf7, 0x82, 0xad, 0x16]))
  assert.equal(reader.varlong(), -3_000_000_000)
})

test('unknown tagged fields are passed over and known ones handed out', () => {
  const writer = new Writer(true)
  writer.uvarint(2)
  writer.uvarint(0)
  writer.uvarint(4)
  writer.int32(42)
  writer.uvarint(9)
  writer.uvarint(3)
  writer.raw(Buffer.from('xyz'))
  writer.int8(1)
  const reader = new Reader(writer.toBuffer(), true)
  const seen = new Map<number, number>()
  reader.tags((tag, value) => seen.set(tag, tag === 0 ? value.int32() : -1))
  assert.deepEqual(
    [...seen],
    [
      [0, 42],
      [9, -1],
    ],
  )
  assert.equal(reader.int8(), 1)
})

const malformed: readonly [string, Buffer, boolean, (reader: Reader) => unknown][] = [
  ['a string longer than the frame', Buffer.from([0x7f, 0xff, 1]), false, (reader) => reader.string()],
  ['a string of negative length', Buffer.from([0xff, 0xfe, 1]), false, (reader) => reader.string()],
  ['null where it may not be', Buffer.from([0xff, 0xff]), false, (reader) => reader.string()],
  ['bytes of negative length', Buffer.from([0xff, 0xff, 0xff, 0]), false, (reader) => reader.bytes()],
  [
    'an array longer than the frame',
    Buffer.from([0x7f, 0xff, 0xff, 0xff]),
    false,
    (reader) => reader.array(() => 0),
  ],
  [
    'a compact array longer than the frame',
    Buffer.from([0xff, 0xff, 0x7f]),
    true,
    (reader) => reader.array(() => 0),
  ],
  ['an endless varint', Buffer.alloc(12, 0xff), true, (reader) => reader.uvarint()],
  ['an endless varlong', Buffer.alloc(12, 0xff), true, (reader) => reader.varlong()],
  ['more tags than bytes', Buffer.from([0x70, 0, 0]), true, (reader) => reader.tags()],
  ['a number cut off', Buffer.from([1, 2, 3]), false, (reader) => reader.int32()],
]
for (const [what, bytes, flexible, read] of malformed) {
  test(`${what} is malformed, and nothing is read beyond the frame`, () => {
    assert.throws(() => read(new Reader(bytes, flexible)), MalformedError)
  })
}
