/**
 * What the types promise. The compiler is the test: a line that should not compile has `@ts-expect-error`, and every
 * inferred type is compared for equality, so that neither `any` nor a type too wide passes.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import {
  bytes,
  defineOperation,
  json,
  losslessJson,
  nothing,
  string,
  type EncodeContext,
  type HandlerContext,
  type Gathered,
  type Middleware,
  type Operation,
  type Payload,
  type Replier,
  type Requester,
  type LateReply,
  type MilenaError,
  type RemoteError,
  type Reply,
  type TimeoutError,
  type ValidationError,
  gatheredIn,
  isMilenaError,
} from '../src/index.ts'

/* oxlint-disable typescript/no-unnecessary-type-parameters -- a type is compared by being a parameter */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

function same<A, B>(..._proof: Same<A, B> extends true ? [] : ['these types differ', A, B]): void {}

/** What the requester's caller gives and gets, and what the handler gets and returns. */
type Sides<Of> =
  Of extends Operation<infer RequestInput, infer RequestOutput, infer ReplyInput, infer ReplyOutput>
    ? { gives: RequestInput; handled: RequestOutput; answers: ReplyInput; gets: ReplyOutput }
    : never

const topic = 'requests'

/** A schema of another make than zod's: an object with the one property, and types that are all it says. */
function schemaOf<Input, Output = Input>(): StandardSchemaV1<Input, Output> {
  return { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as Output }) } }
}

/** As arktype's are: a function that is a schema as well. */
function callableSchemaOf<Value>(): StandardSchemaV1<Value> & ((value: unknown) => Value) {
  return Object.assign((value: unknown) => value as Value, schemaOf<Value>())
}

test('types: schemas give both sides their input and output', () => {
  const transforming = defineOperation({
    name: 'a',
    topic,
    request: z.object({ id: z.string().transform(Number), note: z.string().default('none') }),
    reply: z.object({ at: z.string().transform((text) => new Date(text)) }),
    key(request) {
      same<typeof request, { id: string; note?: string | undefined }>()
      return request.id
    },
    partition(request, partitions) {
      same<typeof request, { id: string; note?: string | undefined }>()
      return partitions - 1
    },
  })
  same<
    Sides<typeof transforming>,
    {
      gives: { id: string; note?: string | undefined }
      handled: { id: number; note: string }
      answers: { at: string }
      gets: { at: Date }
    }
  >()
  const foreign = defineOperation({
    name: 'b',
    topic,
    request: schemaOf<'in', 'out'>(),
    reply: callableSchemaOf<{ sum: number }>(),
  })
  same<
    Sides<typeof foreign>,
    { gives: 'in'; handled: 'out'; answers: { sum: number }; gets: { sum: number } }
  >()
  assert.equal(transforming.request.codec, 'json')
  assert.equal(foreign.reply.codec, 'json')
})

test('types: payloads of text and bytes, with a schema or without', () => {
  const plain = defineOperation({ name: 'a', topic, request: string(), reply: bytes() })
  same<Sides<typeof plain>, { gives: string; handled: string; answers: Uint8Array; gets: Buffer }>()
  const checked = defineOperation({
    name: 'b',
    topic,
    request: string(z.string().transform(Number)),
    reply: bytes(schemaOf<Uint8Array, { length: number }>()),
  })
  same<
    Sides<typeof checked>,
    { gives: string; handled: number; answers: Uint8Array; gets: { length: number } }
  >()
  const typed = defineOperation({ name: 'c', topic, request: json<{ a: 1 }>(), reply: json(z.number()) })
  same<Sides<typeof typed>, { gives: { a: 1 }; handled: { a: 1 }; answers: number; gets: number }>()
  assert.deepEqual([plain.request.codec, plain.reply.codec, typed.reply.codec], ['string', 'bytes', 'json'])
})

test('types: a codec of one’s own gives and takes what its functions say', () => {
  const own = {
    codec: 'own',
    encode: (value: { a: number }, context?: EncodeContext) =>
      Promise.resolve(Buffer.from(context!.topic + value.a)),
    decode: async (bytes: Buffer | null) => String(bytes),
  }
  const plain = defineOperation({ name: 'a', topic, request: own, reply: { ...own, schema: undefined } })
  same<Sides<typeof plain>, { gives: { a: number }; handled: string; answers: { a: number }; gets: string }>()
  const checked = defineOperation({
    name: 'b',
    topic,
    request: { ...own, schema: z.string().transform(Number) },
  })
  same<Sides<typeof checked>, { gives: { a: number }; handled: number; answers: void; gets: void }>()
  const typed: Payload<{ a: number }, Date> = { ...own, schema: undefined }
  const declared = defineOperation({
    name: 'c',
    topic,
    request: typed,
    reply: losslessJson<bigint | number>(),
  })
  same<
    Sides<typeof declared>,
    { gives: { a: number }; handled: Date; answers: bigint | number; gets: bigint | number }
  >()
  assert.deepEqual([plain.request.codec, declared.reply.codec], ['own', 'lossless-json'])
})

test('types: without a reply the reply is void, at both ends', () => {
  const silent = defineOperation({ name: 'a', topic, request: z.string() })
  same<Sides<typeof silent>, { gives: string; handled: string; answers: void; gets: void }>()
  const empty = defineOperation({ name: 'b', topic, request: nothing, reply: nothing })
  same<Sides<typeof empty>, { gives: void; handled: void; answers: void; gets: void }>()
  assert.equal(silent.reply, nothing)
})

const withUser: Middleware<{ user: string }> = (request, _context, next) => next(request, { user: 'me' })
// @ts-expect-error -- what it adds is missing
const forgetful: Middleware<{ user: string }> = (request, _context, next) => next(request)
const plain: Middleware = (_request, _context, next) => next()

/** Never called: only compiled. */
export async function uses(requester: Requester, replier: Replier): Promise<void> {
  const add = defineOperation({
    name: 'add',
    topic,
    request: z.object({ a: z.number(), b: z.number().default(0) }),
    reply: z.object({ sum: z.number() }),
  })
  const silent = defineOperation({ name: 'silent', topic, request: string() })

  const reply = await requester.request(add, { a: 1 })
  same<typeof reply.value, { sum: number }>()
  same<Awaited<ReturnType<typeof requester.request<string, string, void, void>>>['value'], void>()
  await requester.request(silent, 'x', { key: null, timeout: 5, partition: 0, headers: { a: 'b', c: null } })
  // @ts-expect-error -- not the request's type
  await requester.request(add, { a: '1' })
  // @ts-expect-error -- no value where one is needed
  await requester.request(add)
  // @ts-expect-error -- a header is a string, bytes or null
  await requester.request(silent, 'x', { headers: { n: 1 } })

  replier.handle(add, (request) => {
    same<typeof request, { a: number; b: number }>()
    return { sum: request.a + request.b }
  })
  replier.handle(silent, async () => {})
  // @ts-expect-error -- not the reply's type
  replier.handle(add, () => ({ total: 1 }))
  // @ts-expect-error -- a reply is missing
  replier.handle(add, () => {})
  const pair = defineOperation({
    name: 'pair',
    topic,
    request: string(),
    reply: json<{ a: 1; b?: 2; c: 3 }>(),
  })
  // @ts-expect-error -- the reply is incomplete
  replier.handle(pair, () => ({ a: 1 }))
  replier.handle(pair, () => ({ a: 1, c: 3 }))
  replier.handle(pair, async (request) => ({ a: 1, b: 2, c: request === '' ? 3 : 3 }))

  const withTenant: Middleware<{ tenant: number }> = (request, context, next) => {
    same<typeof context.correlationId, string | undefined>()
    return next(request, { tenant: 1 })
  }
  const known = replier.use(withUser).use(plain)
  assert.ok(known)
  known.handle(
    silent,
    (_request, context) => {
      same<typeof context.user, string>()
      same<typeof context.tenant, number>()
      // @ts-expect-error -- nobody adds it
      assert.ok(context.nobody)
    },
    { use: [withTenant, plain, forgetful] },
  )
  replier.handle(silent, (_request, context) => {
    // @ts-expect-error -- not of this replier's type
    assert.ok(context.user)
  })

  // @ts-expect-error -- the key must be a string, bytes or null
  defineOperation({ name: 'x', topic, request: string(), key: () => 1 })
  // @ts-expect-error -- neither a schema nor a payload
  defineOperation({ name: 'x', topic, request: { type: 'object' } })

  const prepared = await requester.prepare(add, { a: 1 })
  const pending = requester.register(prepared, {
    onReply(outcome) {
      same<typeof outcome, Reply<{ sum: number }> | MilenaError>()
      return 'more'
    },
  })
  same<Awaited<typeof pending.reply>, Reply<{ sum: number }>>()
  // @ts-expect-error -- not the request's type
  await requester.prepare(add, { a: '1' })
  // @ts-expect-error -- neither done nor more
  requester.register(prepared, { onReply: () => 'enough' })
  // @ts-expect-error -- not what prepare gives
  requester.register(add)

  const gathered = await requester.requestMany(add, { a: 1 }, { count: 3, maxReplies: 10, timeout: 5 })
  same<typeof gathered, Gathered<{ sum: number }>>()
  same<typeof gathered.replies, readonly Reply<{ sum: number }>[]>()
  same<typeof gathered.errors, readonly MilenaError[]>()
  await requester.requestMany(
    add,
    { a: 1 },
    {
      until(replies, errors) {
        same<typeof replies, readonly Reply<{ sum: number }>[]>()
        same<typeof errors, readonly MilenaError[]>()
        return replies.length + errors.length > 2
      },
    },
  )
  // @ts-expect-error -- not the request's type
  await requester.requestMany(add, { a: '1' }, { count: 3 })
  // @ts-expect-error -- neither count nor until
  await requester.requestMany(add, { a: 1 }, { timeout: 5 })
  // @ts-expect-error -- both
  await requester.requestMany(add, { a: 1 }, { count: 3, until: () => true })
  // @ts-expect-error -- no options
  await requester.requestMany(add, { a: 1 })
  // @ts-expect-error -- a predicate answers at once
  await requester.requestMany(add, { a: 1 }, { until: async () => true })

  const disposable: readonly AsyncDisposable[] = [requester, replier]
  assert.ok(disposable)
}

/** Never called: only compiled. */
export function narrows(error: unknown, late: LateReply): void {
  const pay = defineOperation({
    name: 'pay',
    topic,
    request: z.object({ id: z.string() }),
    reply: z.number(),
  })
  const other = defineOperation({ name: 'other', topic, request: string(), reply: string() })
  same<
    ReturnType<typeof gatheredIn<{ id: string }, { id: string }, number, number>>,
    Gathered<number> | undefined
  >()
  const had = gatheredIn(error, pay)
  same<typeof had, Gathered<number> | undefined>()
  if (isMilenaError(error)) {
    if (error.code === 'MILENA_TIMEOUT') same<typeof error.timeout, TimeoutError['timeout']>()
    if (error.code === 'MILENA_REMOTE_ERROR') same<typeof error.remoteCode, RemoteError['remoteCode']>()
    if (error.code === 'MILENA_REPLY_INVALID') same<typeof error.issues, ValidationError['issues']>()
    if (error.code === 'MILENA_OPTIONS_INVALID') same<typeof error.problems, readonly string[]>()
    // @ts-expect-error -- only a timeout has one
    if (error.code === 'MILENA_CLOSED') same<typeof error.timeout, number>()
    // @ts-expect-error -- no code of ours
    if (error.code === 'MILENA_ODD') return
  }
  same<typeof late.request, unknown>()
  if (late.of(pay)) {
    same<typeof late.request, { id: string }>()
    same<typeof late.reply, Reply<number> | undefined>()
  } else if (late.of(other)) {
    same<typeof late.request, string>()
  }
}

test('types: what a handler hands on are options of a request', () => {
  const operation = defineOperation({ name: 'a', topic, request: string(), reply: string() })
  const handle = async (requester: Requester, context: HandlerContext): Promise<Reply<string>> => {
    const forwarded = context.forward()
    same<(typeof forwarded)['deadline'], number | undefined>()
    await requester.prepare(operation, 'x', forwarded)
    return requester.request(operation, 'x', { ...context.forward(), key: 'k', timeout: 5 })
  }
  assert.equal(typeof handle, 'function')
})
