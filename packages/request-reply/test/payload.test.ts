import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { defineOperation } from '../src/contract/operation.ts'
import { bytes, json, nothing, string, validate } from '../src/contract/payload.ts'
import { MilenaError } from '../src/errors.ts'

const nested = (inside: string): Buffer => Buffer.from('['.repeat(50_000) + inside + ']'.repeat(50_000))

function failure(act: () => unknown): MilenaError {
  try {
    act()
  } catch (error) {
    assert.ok(error instanceof MilenaError, String(error))
    return error
  }
  return assert.fail('nothing was thrown')
}

test('JSON goes and comes as UTF-8', () => {
  const value = { text: 'größe 😀', list: [1, null, true] }
  assert.deepEqual(json().decode(json().encode(value)), value)
})

test('what is no JSON value, and bytes that are no JSON, are refused', () => {
  const loop: Record<string, unknown> = {}
  loop['self'] = loop
  for (const value of [undefined, () => 1, Symbol('s'), 1n, loop])
    assert.equal(failure(() => json().encode(value)).code, 'MILENA_CODEC_FAILED')
  for (const text of ['', '{', '{}x', "{'a':1}"])
    assert.equal(failure(() => json().decode(Buffer.from(text))).code, 'MILENA_CODEC_FAILED')
  assert.equal(failure(() => json().decode(null)).code, 'MILENA_CODEC_FAILED')
  assert.match(failure(() => json().decode(Buffer.from([0x22, 0xff, 0x22]))).message, /UTF-8/)
})

test('JSON that could change prototypes is refused, however it is spelled and wherever it stands', () => {
  for (const text of [
    '{"__proto__":1}',
    '[[{"a":{"__proto__":{}}}]]',
    String.raw`{"\u005f_pr\u006fto__":1}`,
    '{"constructor":{"prototype":{}}}',
    String.raw`{"c\u006Fnstructor":{"prototyp\u0065":1}}`,
  ])
    assert.match(failure(() => json().decode(Buffer.from(text))).message, /refused/, text)
  for (const text of ['"__proto__"', '{"constructor":1}', '{"prototype":{}}', '["constructor","prototype"]'])
    assert.deepEqual(json().decode(Buffer.from(text)), JSON.parse(text))
})

test('the look for prototypes goes as deep as the value', () => {
  assert.ok(Array.isArray(json().decode(nested('"proto"'))))
  assert.match(failure(() => json().decode(nested('{"__proto__":1}'))).message, /refused/)
})

test('text must be text, and bytes bytes', () => {
  assert.equal(string().decode(Buffer.from('größe')), 'größe')
  assert.equal(string().decode(Buffer.alloc(0)), '')
  assert.equal(failure(() => string().decode(null)).code, 'MILENA_CODEC_FAILED')
  assert.equal(failure(() => string().decode(Buffer.from([0xc0, 0x80]))).code, 'MILENA_CODEC_FAILED')
  assert.equal(failure(() => string().encode(1 as never)).code, 'MILENA_CODEC_FAILED')
  assert.equal(failure(() => bytes().encode('x' as never)).code, 'MILENA_CODEC_FAILED')
  assert.deepEqual(nothing.encode(undefined), Buffer.alloc(0))
  assert.equal(nothing.decode(Buffer.from('ignored')), undefined)
})

test('bytes are copied on both sides, from any view', () => {
  const memory = new Uint8Array([0, 1, 2, 3])
  const sent = bytes().encode(memory.subarray(1, 3))
  memory.fill(9)
  assert.deepEqual(sent, Buffer.from([1, 2]))
  const wire = Buffer.from([1, 2])
  const received = bytes().decode(wire)
  wire.fill(9)
  assert.deepEqual(received, Buffer.from([1, 2]))
})

test('every failing path is told, spelled as in the code that reaches it', () => {
  const path = ['items', 2, { key: 'price' }, Symbol('tax')]
  const issues = [{ message: 'no', path }, { message: 'at all' }, { message: 'first', path: [0, 'a'] }]
  const schema: StandardSchemaV1 = {
    '~standard': { version: 1, vendor: 'test', validate: () => ({ issues }) },
  }
  assert.deepEqual(validate(schema, {}), {
    issues: [
      { path: 'items[2].price.Symbol(tax)', message: 'no' },
      { path: '', message: 'at all' },
      { path: '[0].a', message: 'first' },
    ],
  })
})

test('a promise of another make than Node’s is waited for, not taken for the result', async () => {
  const promiseLike = {
    // oxlint-disable-next-line unicorn/no-thenable -- that is what is tested
    then: (resolve: (result: unknown) => void) => resolve({ issues: [{ message: 'no' }] }),
  }
  const schema: StandardSchemaV1 = {
    '~standard': { version: 1, vendor: 'test', validate: () => promiseLike as never },
  }
  assert.deepEqual(await validate(schema, 'x'), { issues: [{ path: '', message: 'no' }] })
})

/** What is said of a definition with this in it. */
function refusal(wrong: object): string {
  const right = { name: 'o', topic: 't', request: string() }
  const { code, message } = failure(() => defineOperation({ ...right, ...wrong }))
  assert.equal(code, 'MILENA_OPTIONS_INVALID')
  return message
}

test('every problem of an operation is listed, whatever its parts are', () => {
  const nowhere: unknown = Object.create(null)
  for (const wrong of [-5, Symbol('s'), nowhere, null, [], () => 1, Number.NaN]) {
    const message = refusal({
      name: wrong,
      topic: wrong,
      request: wrong,
      reply: wrong,
      key: typeof wrong === 'function' ? 1 : wrong,
      partition: typeof wrong === 'function' ? 1 : wrong,
      timeout: wrong,
      checkRoundTrip: wrong,
    })
    for (const name of ['name', 'topic', 'request', 'reply', 'key', 'partition', 'timeout', 'checkRoundTrip'])
      assert.match(message, new RegExp(`(: |; )${name} `), name)
  }
  for (const definition of [undefined, null, 'operation', Symbol('s')])
    assert.match(failure(() => defineOperation(definition as never)).message, /must be an object, not /)
})

test('an operation has a name that can stand in a header and in a line of a log', () => {
  for (const name of ['', 'x'.repeat(256), 'a\nb', 'a\u001b[31m', 'a\u2028b', '\ud800', '\u202e'])
    assert.match(refusal({ name }), /: name must /, JSON.stringify(name))
  assert.equal(defineOperation({ name: 'größe 😀', topic: 't', request: string() }).name, 'größe 😀')
})

test('a timeout is one that a timer can wait', () => {
  for (const timeout of [0, -1, Infinity, 2 ** 31, Number.NaN, '5', 5n, null])
    assert.match(refusal({ timeout }), /: timeout must be 1 to 2147483647 ms/)
})

test('a payload must be able to encode, decode and validate', () => {
  const codec = { codec: 'own', encode: () => null, decode: () => 1 }
  assert.equal(defineOperation({ name: 'o', topic: 't', request: codec }).request.codec, 'own')
  for (const request of [
    { '~standard': { version: 1 } },
    { '~standard': null },
    { ...codec, encode: undefined },
    { ...codec, decode: 5 },
    { ...codec, codec: '' },
    { ...codec, schema: { type: 'object' } },
    { ...codec, schema: null },
  ])
    assert.match(refusal({ request }), /: request (is|has) a /)
})

test('an option that was mistyped is not ignored', () => {
  assert.match(refusal({ timout: 5 }), /there is no option timout/)
})
