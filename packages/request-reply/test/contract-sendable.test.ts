import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import type { AnyPayload } from '../src/contract/codec.ts'
import { defineOperation, untyped, type AnyOperation } from '../src/contract/operation.ts'
import { json } from '../src/contract/payload.ts'
import { sendable } from '../src/contract/sendable.ts'
import { MilenaError } from '../src/errors.ts'

function replying(reply: StandardSchemaV1 | AnyPayload): AnyOperation {
  return untyped(defineOperation({ name: 'get', topic: 't', request: json(), reply: reply as never }))
}

/** What is sent of the value. */
function sent(reply: StandardSchemaV1 | AnyPayload, value: unknown): unknown {
  const result = sendable(replying(reply), 'reply', value)
  assert.ok(!(result instanceof Promise), 'the schema is synchronous')
  assert.ok('value' in result, 'it is valid')
  return result.value
}

const user = z.object({ id: z.string(), name: z.string() })
const row = { id: '7', name: 'Ada', passwordHash: '$argon2id$' }

/** A validator that counts what it is asked. */
function counted<Input, Output>(
  schema: StandardSchemaV1<Input, Output>,
): StandardSchemaV1<Input, Output> & { calls: number } {
  const counting = {
    calls: 0,
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate(value: unknown) {
        counting.calls++
        return schema['~standard'].validate(value)
      },
    },
  }
  return counting
}

function made<Output>(validate: (value: never) => StandardSchemaV1.Result<Output>): StandardSchemaV1 {
  return { '~standard': { version: 1, vendor: 'test', validate: validate as never } }
}

/** Fails as a codec does, without a word of the value. */
function failsQuietly(act: () => unknown): void {
  assert.throws(act, (error: unknown) => {
    assert.ok(error instanceof MilenaError)
    assert.equal(error.code, 'MILENA_CODEC_FAILED')
    assert.match(error.message, /operation get: /)
    assert.doesNotMatch(error.message, /4111/)
    return true
  })
}

describe('what is validated is what is sent', () => {
  it('leaves out what the schema strips, however deep, and leaves the value itself alone', () => {
    const order = z.object({ user, items: z.array(z.object({ sku: z.string() })), pair: z.tuple([user]) })
    const value = {
      user: row,
      items: [{ sku: 'a', cost: 1 }, { sku: 'b' }],
      pair: [row],
      internal: { margin: 0.4 },
    }
    const before = structuredClone(value)
    assert.deepEqual(sent(order, value), {
      user: { id: '7', name: 'Ada' },
      items: [{ sku: 'a' }, { sku: 'b' }],
      pair: [{ id: '7', name: 'Ada' }],
    })
    assert.deepEqual(value, before)
  })

  it('copies nothing, and validates once, when nothing is stripped', () => {
    const schema = counted(z.object({ user, at: z.date(), any: z.any(), tags: z.set(z.string()) }))
    const value = {
      user: { id: '7', name: 'Ada' },
      at: new Date(0),
      any: { of: row },
      tags: new Set(['a']),
      absent: undefined,
    }
    assert.equal(sent(schema, value), value)
    assert.equal(schema.calls, 1)
  })

  it('is the input form: what the schema transforms, or fills in, is as it was given', () => {
    const schema = z.object({
      id: z.string().transform(Number),
      note: z.string().default('none'),
      at: z.coerce.date(),
    })
    const at = '2026-01-01T00:00:00Z'
    assert.deepEqual(sent(schema, { id: '7', at, secret: 1 }), { id: '7', at })
  })

  it('keeps the keys that the schema reads, though its output has them not, and no others', () => {
    const schema = z
      .object({ first: z.string(), last: z.string(), age: z.number().optional() })
      .transform(({ first, last, age }) => ({ name: `${first} ${last}`, old: (age ?? 0) > 99 }))
    const value = { first: 'Ada', last: 'L', age: 100, passwordHash: 'x' }
    assert.deepEqual(sent(schema, value), { first: 'Ada', last: 'L', age: 100 })
    const inside = z.object({ list: z.array(schema), user })
    assert.deepEqual(sent(inside, { list: [value, value], user: row }), {
      list: [
        { first: 'Ada', last: 'L', age: 100 },
        { first: 'Ada', last: 'L', age: 100 },
      ],
      user: { id: '7', name: 'Ada' },
    })
  })

  it('remembers which keys those were, and looks all the same at each value anew', () => {
    const schema = counted(
      z
        .object({ first: z.string(), last: z.string() })
        .transform(({ first, last }) => ({ name: first + last })),
    )
    const operation = replying(schema)
    const value = { first: 'A', last: 'B', a: 1, b: 2, c: 3 }
    const once = sendable(operation, 'reply', value)
    const most = schema.calls
    assert.deepEqual(sendable(operation, 'reply', value), once)
    assert.ok(schema.calls - most <= 3, `${schema.calls - most} validations the second time`)
    assert.deepEqual(once, { value: { first: 'A', last: 'B' } })
  })

  it('tells what a schema makes up at each call from what it reads', () => {
    let n = 0
    const schema = z.object({ name: z.string(), nonce: z.number().default(() => n++) })
    assert.deepEqual(sent(schema, { name: 'a', secret: 1 }), { name: 'a' })
  })

  it('lets a value be where the schema changes its shape', () => {
    const shorter = z.array(z.object({ a: z.number() })).transform((list) => list.slice(1))
    const list = [{ a: 1, b: 2 }, { a: 1 }]
    assert.equal(sent(shorter, list), list)
    const joined = z.object({ a: z.string(), b: z.string() }).transform(({ a, b }) => a + b)
    const pair = { a: '1', b: '2', c: '3' }
    assert.equal(sent(joined, pair), pair)
  })

  it('writes of an object of a class what the schema has read, and not what its class would make of it', () => {
    class Entity {
      id = '7'
      passwordHash = 'x'
      get name(): string {
        return 'Ada'
      }
      toJSON(): object {
        return { id: 'another', passwordHash: this.passwordHash }
      }
    }
    assert.deepEqual(sent(user, new Entity()), { id: '7', name: 'Ada' })
    assert.deepEqual(sent(z.object({ user }), { user: new Entity() }), { user: { id: '7', name: 'Ada' } })
    const own = { ...row, toJSON: () => 'what no schema has seen' }
    assert.deepEqual(sent(user, own), { id: '7', name: 'Ada' })
    const problem = z.object({ message: z.string() })
    assert.deepEqual(sent(problem, new Error('no')), { message: 'no' })
    const entity = new Entity()
    assert.equal(sent(z.instanceof(Entity), entity), entity)
  })

  it('makes nothing else of objects for a codec that may need their class', () => {
    class Message {
      id = '7'
      secret = 'x'
    }
    const codec = {
      codec: 'protobuf',
      schema: z.object({ id: z.string() }),
      encode: () => null,
      decode: () => 1,
    }
    const message = new Message()
    assert.equal(sent(codec, message), message)
    assert.deepEqual(sent(codec, { id: '7', secret: 'x' }), { id: '7' })
  })

  it('does not set a prototype by a key', () => {
    const value: unknown = JSON.parse('{"__proto__":{"admin":true},"id":"1","secret":2}')
    const schema = made((given: { id: string }) => ({
      value: Object.fromEntries(Object.entries(given).filter(([key]) => key !== 'secret')),
    }))
    const result = sent(schema, value) as object
    assert.equal(Object.getPrototypeOf(result), Object.prototype)
    assert.deepEqual(Object.keys(result), ['__proto__', 'id'])
  })

  it('ends with a circle, wide or long, and with a nesting deeper than it looks', () => {
    interface Node {
      children: Node[]
      parent?: Node
      secret: number
    }
    const root: Node = { children: [], secret: 1 }
    for (let i = 0; i < 4; i++) root.children.push({ children: [root, root], parent: root, secret: 2 })
    const clone = made((given: object) => ({ value: structuredClone(given) }))
    assert.equal(sent(clone, root), root)
    let deep: object = {}
    for (let i = 0; i < 2_000; i++) deep = { deep, secret: 1 }
    const copy = made((given: object) => ({ value: JSON.parse(JSON.stringify(given)) as object }))
    assert.equal(sent(copy, deep), deep)
  })

  it('tells issues, and what a getter or a proxy throws, without its words', () => {
    const issues = sendable(replying(user), 'reply', { id: 1, name: 'a' })
    assert.ok('issues' in issues)
    let reads = 0
    const moody = {
      id: '7',
      get name(): string {
        if (reads++ > 0) throw new Error('card 4111')
        return 'Ada'
      },
    }
    failsQuietly(() => sendable(replying(user), 'reply', moody))
    failsQuietly(() => sendable(replying(made(() => assert.fail('card 4111'))), 'reply', 1))
  })

  it('works for requests alike', () => {
    const operation = untyped(defineOperation({ name: 'o', topic: 't', request: user }))
    assert.deepEqual(sendable(operation, 'request', row), { value: { id: '7', name: 'Ada' } })
  })
})

describe('what is sent with an asynchronous schema', () => {
  const later = z.object({ id: z.string(), tags: z.array(z.string()) }).refine(() => Promise.resolve(true))

  it('is without what the schema strips', async () => {
    const result = sendable(replying(later), 'reply', { id: '7', tags: ['a'], secret: 1 })
    assert.ok(result instanceof Promise)
    assert.deepEqual(await result, { value: { id: '7', tags: ['a'] } })
  })

  it('is the value as it was at the call', async () => {
    const value = { id: '7', tags: ['a'] }
    const result = sendable(replying(later), 'reply', value)
    value.id = 'changed'
    value.tags.push('b')
    assert.deepEqual(await result, { value: { id: '7', tags: ['a'] } })
  })

  it('is a circle as it is', async () => {
    const circle: Record<string, unknown> = { secret: 1 }
    circle['self'] = [circle, circle]
    const clone = made((given: object) => Promise.resolve({ value: structuredClone(given) }) as never)
    const result = await sendable(replying(clone), 'reply', circle)
    assert.ok('value' in result && result.value === circle)
  })

  it('is rejected as the schema fails, and never in any other way', async () => {
    const failing = made(() => Promise.reject(new Error('card 4111')) as never)
    await assert.rejects(async () => sendable(replying(failing), 'reply', 'x'), {
      code: 'MILENA_CODEC_FAILED',
      message: 'operation get: the schema of the reply failed: Error',
    })
    const hostile = new Proxy({ id: '7', tags: [] }, { ownKeys: () => assert.fail('card 4111') })
    await assert.rejects(async () => sendable(replying(later), 'reply', hostile), {
      code: 'MILENA_CODEC_FAILED',
    })
  })
})
