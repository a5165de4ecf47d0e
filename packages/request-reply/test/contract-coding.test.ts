import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import type { AnyPayload, DecodeContext, EncodeContext } from '../src/contract/codec.ts'
import { decodePayload, encodePayload, validatePayload } from '../src/contract/coding.ts'
import { malformedAt } from '../src/contract/json-position.ts'
import { losslessJson } from '../src/contract/lossless-json.ts'
import { defineOperation, untyped, type AnyOperation, type PayloadSpec } from '../src/contract/operation.ts'
import { bytes, json, nothing, string } from '../src/contract/payload.ts'
import { MilenaError, ValidationError } from '../src/errors.ts'
import type { RawHeader } from '../src/wire/headers.ts'

function operationOf(request: PayloadSpec, checkRoundTrip?: boolean): AnyOperation {
  const check = checkRoundTrip === undefined ? {} : { checkRoundTrip }
  return untyped(defineOperation({ name: 'pay', topic: 'requests', request, reply: request, ...check }))
}

function codecOf(codec: Partial<AnyPayload>): AnyPayload {
  return { codec: 'own', encode: () => null, decode: () => undefined, ...codec }
}

const encode = (operation: AnyOperation, value: unknown) =>
  encodePayload(operation, 'request', value, 'requests')
const decode = (operation: AnyOperation, value: Buffer | null, headers: readonly RawHeader[] = []) =>
  decodePayload(operation, 'request', { topic: 'requests', value, headers })

async function failure(act: () => unknown): Promise<MilenaError> {
  try {
    await act()
  } catch (error) {
    assert.ok(error instanceof MilenaError, String(error))
    return error
  }
  return assert.fail('nothing was thrown')
}

const card = '4111111111111111'

describe('a codec', () => {
  it('of our own makes no promise, and asks for no context', () => {
    for (const [payload, value] of [
      [json(), { a: 1 }],
      [losslessJson(), { a: 1n }],
      [string(), 'a'],
      [bytes(), Buffer.from('a')],
      [nothing, undefined],
    ] as const) {
      const operation = operationOf(payload)
      const encoded = encode(operation, value)
      assert.ok(!(encoded instanceof Promise))
      assert.ok(!(decode(operation, encoded.value) instanceof Promise))
    }
  })

  it('may be asynchronous, see where its bytes go to and come from, and write and read headers', async () => {
    const seen: unknown[] = []
    const registry = codecOf({
      encode: async (value: never, context?: EncodeContext) => {
        await Promise.resolve()
        seen.push([context!.operation, context!.side, context!.topic])
        context!.addHeader('schema', '7')
        return new Uint8Array([7, ...Buffer.from(JSON.stringify(value))])
      },
      decode: async (value: Buffer | null, context?: DecodeContext) => {
        await Promise.resolve()
        seen.push([context!.operation, context!.side, context!.topic, context!.headers.text('schema')])
        return JSON.parse(value!.subarray(1).toString()) as unknown
      },
    })
    const operation = operationOf(registry)
    const encoded = await encodePayload(operation, 'reply', { a: 1 }, 'replies')
    assert.ok(Buffer.isBuffer(encoded.value))
    const { value, headers } = encoded
    const decoded = await decodePayload(operation, 'reply', { topic: 'replies', value, headers })
    assert.deepEqual(decoded, { a: 1 })
    assert.deepEqual(seen, [
      ['pay', 'reply', 'replies'],
      ['pay', 'reply', 'replies', '7'],
    ])
  })

  it('that is synchronous costs no promise, also one of somebody else', () => {
    const operation = operationOf(codecOf({ encode: () => Buffer.from('x'), decode: () => 5 }))
    assert.deepEqual(encode(operation, 1), { value: Buffer.from('x'), headers: [] })
    assert.equal(decode(operation, null), 5)
  })

  it('that returns no bytes is told so', async () => {
    for (const [returned, told] of [
      [undefined, 'nothing'],
      ['text', 'a string'],
      [5, 'a number'],
      [{ length: 3 }, 'an object (Object)'],
      [[1], 'an object (Array)'],
    ] as const) {
      for (const way of [returned, Promise.resolve(returned)]) {
        const error = await failure(() => encode(operationOf(codecOf({ encode: () => way as never })), 1))
        assert.equal(error.code, 'MILENA_CODEC_FAILED')
        assert.ok(error.message.startsWith(`operation pay: the codec of the request returned ${told} `))
      }
    }
  })

  it('adds no header after it has ended, nor one that is none', async () => {
    let kept: EncodeContext | undefined
    const codec = codecOf({
      encode(_value: never, context?: EncodeContext) {
        kept = context
        return null
      },
    })
    await encode(operationOf(codec), 1)
    assert.throws(() => kept!.addHeader('late', '1'), TypeError)
    const wrong = codecOf({
      encode(_value: never, context?: EncodeContext) {
        context!.addHeader('n', 5 as never)
        return null
      },
    })
    assert.equal((await failure(() => encode(operationOf(wrong), 1))).code, 'MILENA_CODEC_FAILED')
  })

  it('that fails is named, and what it says is not repeated', async () => {
    class RegistryError extends Error {
      override name = 'RegistryError'
    }
    const thrown = new RegistryError(`no such card: ${card}`)
    for (const fail of [
      () => {
        throw thrown
      },
      () => Promise.reject(thrown),
    ]) {
      const operation = operationOf(codecOf({ encode: fail, decode: fail }))
      const encoding = await failure(() => encode(operation, 1))
      assert.equal(encoding.message, 'operation pay: the request cannot be encoded: RegistryError')
      assert.equal(encoding.cause, thrown)
      assert.deepEqual([encoding.sent, encoding.outcomeKnown], ['no', true])
      const decoding = await failure(() => decode(operation, null))
      assert.equal(decoding.message, 'operation pay: the request cannot be decoded: RegistryError')
      const reply = await failure(() =>
        decodePayload(operation, 'reply', { topic: 't', value: null, headers: [] }),
      )
      assert.deepEqual([reply.sent, reply.outcomeKnown, reply.effect], ['yes', false, 'done'])
    }
    const said = codecOf({
      encode() {
        throw new MilenaError('MILENA_CODEC_FAILED', 'schema 7 is not in the registry')
      },
    })
    assert.match(
      (await failure(() => encode(operationOf(said), 1))).message,
      /schema 7 is not in the registry$/,
    )
  })

  it('whose JSON.parse quotes the value has no such cause either', async () => {
    const operation = operationOf(codecOf({ decode: (value) => JSON.parse(String(value)) as unknown }))
    const error = await failure(() => decode(operation, Buffer.from(`pan=${card}`)))
    assert.equal(error.message, 'operation pay: the request cannot be decoded: SyntaxError')
    assert.equal(error.cause, undefined)
  })
})

describe('errors of JSON', () => {
  it('say where it is malformed, and quote nothing', async () => {
    for (const [text, where] of [
      [`pan=${card}`, 'character 0'],
      [`{"pan":"${card}"`, 'its end'],
      [`{"pan":"${card}",}`, 'character 26'],
      [`{"pan":"${card}"} ${card}`, 'character 27'],
      [`["${card}`, 'its end'],
      ['[', 'its end'],
    ] as const) {
      for (const payload of [json(), losslessJson()]) {
        const error = await failure(() => decode(operationOf(payload), Buffer.from(text)))
        assert.equal(
          error.message,
          `operation pay: the request cannot be decoded: not JSON: malformed at ${where}`,
        )
        assert.equal(error.cause, undefined)
      }
    }
  })

  it('know the place of every fault', () => {
    for (const [text, at] of [
      ['x', 0],
      [' \n x', 3],
      ['{"a":1,}', 7],
      ['{"a":1 "b":2}', 7],
      ['{a:1}', 1],
      ["{'a':1}", 1],
      ['{"a" 1}', 5],
      ['{"a":}', 5],
      ['{,}', 1],
      ['[1,]', 3],
      ['[,1]', 1],
      ['[1 2]', 3],
      ['[1}', 2],
      ['{"a":[1,{"b":"]}\\"","c":undefined}]}', 24],
      ['[] []', 3],
      ['1,2', 1],
      ['01', 1],
      ['[1.]', 2],
      ['tru', 0],
      ['[-]', 1],
      ['{"a":1', 6],
      ['["a\\', 4],
      ['', 0],
    ] as const) {
      assert.throws(() => JSON.parse(text), SyntaxError, text)
      assert.equal(malformedAt(text), at, text)
    }
  })

  it('find no fault in what is JSON', () => {
    for (const text of [
      '{}',
      '[]',
      ' 1 ',
      '-0.5e+7',
      '"\\"}"',
      '{"a":[{},[],null,true,false,"\\\\"],"b":{"c":1}}',
    ])
      assert.equal(malformedAt(text), text.length, JSON.stringify(JSON.parse(text)))
    assert.equal(malformedAt('['.repeat(1_000_000)), 1_000_000)
  })

  it('name a circle, a bigint and too many levels in one line', async () => {
    const circle: Record<string, unknown> = {}
    circle[card] = circle
    const operation = operationOf(json())
    assert.match(
      (await failure(() => encode(operation, circle))).message,
      /: not a JSON value: it refers to itself$/,
    )
    assert.match((await failure(() => encode(operation, { a: 1n }))).message, /losslessJson\(\)/)
    const deep: unknown = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))
    assert.match((await failure(() => encode(operation, deep))).message, /: it has too many levels$/)
    const thrower = {
      toJSON() {
        throw new Error(card)
      },
    }
    assert.match((await failure(() => encode(operation, thrower))).message, /cannot be encoded: Error$/)
  })
})

describe('validating', () => {
  it('fails with an error of ours, whatever the schema throws or returns', async () => {
    for (const result of [undefined, null, 5, Promise.reject(new Error(card)), Promise.resolve(undefined)]) {
      const schema = { '~standard': { version: 1, vendor: 'v', validate: () => result as never } } as const
      const error = await failure(() => validatePayload(operationOf(schema), 'request', 1))
      assert.equal(error.code, 'MILENA_CODEC_FAILED')
      assert.doesNotMatch(error.message, /4111/)
    }
  })
})

describe('losslessJson', () => {
  const payload = losslessJson<unknown>()
  const read = (text: string) => payload.decode(Buffer.from(text))

  it('keeps every digit of an integer, both ways', () => {
    const text =
      '{"id":9007199254740993,"list":[-9223372036854775808,18446744073709551615],"small":5,"zero":-0}'
    const value = { id: 9007199254740993n, list: [-(2n ** 63n), 2n ** 64n - 1n], small: 5, zero: -0 }
    assert.deepEqual(read(text), value)
    assert.equal(String(payload.encode(value)), text.replace('-0', '0'))
    assert.equal(read('9007199254740991'), 2 ** 53 - 1)
    assert.equal(read('9007199254740992'), 2n ** 53n)
  })

  it('reads fractions and exponents as doubles, and what is within bounds as a number', () => {
    assert.equal(read('0.1234567890123456789'), Number('0.1234567890123456789'))
    assert.equal(read('12345678901234567890.5'), Number('12345678901234567890.5'))
    assert.equal(read('1e20'), 1e20)
    assert.equal(read(String(payload.encode(5n))), 5)
    assert.equal(read('"9007199254740993"'), '9007199254740993')
  })

  it('writes digits also where the application has taught bigint to be text', () => {
    const prototype = BigInt.prototype as { toJSON?: () => string }
    prototype.toJSON = function (this: bigint) {
      return String(this)
    }
    try {
      assert.equal(String(payload.encode({ a: [1n] })), '{"a":[1]}')
    } finally {
      delete prototype.toJSON
    }
  })

  it('refuses what json() refuses, and numbers of more digits than anybody means', () => {
    for (const text of ['', '{', '{"__proto__":1,"a":9007199254740993}', '1'.repeat(1001)])
      assert.throws(() => read(text), { code: 'MILENA_CODEC_FAILED' })
    assert.equal(read('1'.repeat(1000)), BigInt('1'.repeat(1000)))
    assert.throws(() => payload.encode(undefined), { code: 'MILENA_CODEC_FAILED' })
  })
})

describe('the check that a value survives its codec', () => {
  const dated = z.object({ items: z.array(z.object({ at: z.date() })) })
  const value = { items: [{ at: new Date(0) }] }

  it('refuses at the sender what the receiver would refuse, with what to do about it', async () => {
    const operation = operationOf(dated)
    for (let i = 0; i < 5; i++) {
      const error = await failure(() => encode(operation, value))
      assert.ok(error instanceof ValidationError)
      assert.equal(error.code, 'MILENA_REQUEST_INVALID')
      assert.equal(error.sent, 'no')
      assert.equal(error.issues[0]?.path, 'items[0].at')
      assert.match(
        error.message,
        /a Date, and arrives as text: use z\.iso\.datetime\(\).*z\.coerce\.date\(\)/,
      )
    }
    const reply = await failure(() => encodePayload(operation, 'reply', value, 't'))
    assert.deepEqual([reply.code, reply.effect], ['MILENA_REPLY_INVALID', 'done'])
  })

  it('has words for the rest that JSON does not keep', async () => {
    for (const [schema, lost, words] of [
      [z.map(z.string(), z.string()), new Map(), /Map or Set/],
      [z.instanceof(Uint8Array), new Uint8Array(1), /base64/],
      [z.custom<number>((given) => given !== null), Number.NaN, /NaN, which JSON has not/],
      [losslessJson(z.bigint()), 5n, /coerce\.bigint/],
    ] as const)
      assert.match((await failure(() => encode(operationOf(schema), lost))).message, words)
  })

  it('looks at the first three values of each side, and no further', () => {
    let calls = 0
    const schema = z.string().refine(() => ++calls > 0)
    const operation = operationOf(string(schema))
    for (let i = 0; i < 10; i++) void encode(operation, 'x')
    assert.equal(calls, 3)
    void encodePayload(operation, 'reply', 'x', 't')
    assert.equal(calls, 4)
  })

  it('is not made in production, nor when it is switched off', () => {
    const before = process.env['NODE_ENV']
    process.env['NODE_ENV'] = 'production'
    try {
      void encode(operationOf(dated), value)
      assert.throws(() => encode(operationOf(dated, true), value), { code: 'MILENA_REQUEST_INVALID' })
    } finally {
      if (before === undefined) delete process.env['NODE_ENV']
      else process.env['NODE_ENV'] = before
    }
    void encode(operationOf(dated, false), value)
  })

  it('calls a codec of somebody else, and an asynchronous schema, only when it was asked to', async () => {
    let decoded = 0
    const own = codecOf({
      schema: z.string().refine(() => Promise.resolve(true)),
      encode: (given: never) => Buffer.from(given),
      decode: () => Promise.resolve(++decoded),
    })
    await encode(operationOf(own), 'x')
    assert.equal(decoded, 0)
    const error = await failure(() => encode(operationOf(own, true), 'x'))
    assert.equal(error.code, 'MILENA_REQUEST_INVALID')
    assert.equal(decoded, 1)
  })
})
