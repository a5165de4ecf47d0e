/** A caller's signal may live as long as its process: nothing of a request listens to it once that has its outcome. */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { bytes } from '../src/contract/payload.ts'
import { TransportError } from '../src/errors.ts'
import type { RequesterOptions } from '../src/requester/options.ts'
import { errorHeaders } from '../src/wire/milena.ts'
import { altered, code, echo, setUp, StagedRouting, until, type Setup } from './requesting.ts'

const value = Buffer.from('x')
const unanswered = (): undefined => undefined
const missing = defineOperation({ name: 'm', topic: 'missing', request: bytes(), reply: bytes() })

interface Case {
  readonly respond?: Parameters<typeof setUp>[0]
  readonly options?: Partial<RequesterOptions>
  readonly wrap?: Parameters<typeof setUp>[2]
  /** Has one request come to its outcome, with this signal; `listening` where it must have listened before. */
  readonly run: (setup: Setup, signal: AbortSignal, listening: () => void) => Promise<unknown>
}

const stalled: NonNullable<Parameters<typeof setUp>[2]> = (transport) =>
  altered(transport, { describeTopics: () => new Promise(() => undefined) })

const cases: Readonly<Record<string, Case>> = {
  'a reply': {
    respond: unanswered,
    async run({ requester, replier }, signal, listening) {
      const asked = requester.request(echo, value, { signal })
      await until(() => replier.requests.length === 1)
      listening()
      await replier.answer(replier.requests[0]!, { value })
      await asked
    },
  },
  'an error reply': {
    respond: () => ({ value: null, headers: errorHeaders({ code: 'NO', message: 'no', effect: 'none' }) }),
    run: ({ requester }, signal) =>
      assert.rejects(requester.request(echo, value, { signal }), code('MILENA_REMOTE_ERROR')),
  },
  'its timeout': {
    respond: unanswered,
    async run({ requester, replier, clock }, signal, listening) {
      const ended = assert.rejects(
        requester.request(echo, value, { signal, timeout: 100 }),
        code('MILENA_TIMEOUT'),
      )
      await until(() => replier.requests.length === 1)
      listening()
      await clock.advance(2_000)
      await ended
    },
  },
  'the end of its requester': {
    respond: unanswered,
    async run({ requester, replier }, signal, listening) {
      const ended = assert.rejects(requester.request(echo, value, { signal }), code('MILENA_ABANDONED'))
      await until(() => replier.requests.length === 1)
      listening()
      await requester.close({ timeout: 0 })
      await ended
    },
  },
  'a send that was refused': {
    wrap: (transport) =>
      altered(transport, {
        send: (record) =>
          record.topic === 'requests'
            ? Promise.reject(new TransportError('MILENA_NOT_SENT', 'no'))
            : transport.send(record),
      }),
    run: ({ requester }, signal) =>
      assert.rejects(requester.request(echo, value, { signal }), code('MILENA_NOT_SENT')),
  },
  'a bound': {
    options: { maxPendingBytes: 10_000 },
    async run({ requester }, signal) {
      const large = Buffer.alloc(20_000)
      await requester.request(echo, value)
      await assert.rejects(requester.request(echo, large, { signal }), code('MILENA_RECORD_TOO_LARGE'))
    },
  },
  'a topic that is missing': {
    run: ({ requester }, signal) =>
      assert.rejects(requester.request(missing, value, { signal }), code('MILENA_TOPIC_MISSING')),
  },
  'a topic that nobody describes': {
    wrap: stalled,
    options: { replyRouting: new StagedRouting() },
    async run({ requester, clock }, signal, listening) {
      const ended = assert.rejects(requester.request(echo, value, { signal, timeout: 100 }))
      listening()
      await clock.advance(2_000)
      await ended
    },
  },
  'several replies': {
    run: ({ requester }, signal) => requester.requestMany(echo, value, { signal, count: 1 }),
  },
  'being settled by its caller': {
    respond: unanswered,
    async run({ requester }, signal, listening) {
      const pending = requester.register(await requester.prepare(echo, value, { signal }))
      listening()
      assert.equal(pending.settle(new Error('enough')), true)
      await assert.rejects(pending.reply, /enough/)
    },
  },
  'its acknowledgement, one way': {
    run: ({ requester }, signal) => requester.send(echo, value, { signal }),
  },
  'a refusal, one way': {
    run: ({ requester }, signal) =>
      assert.rejects(requester.send(missing, value, { signal }), code('MILENA_TOPIC_MISSING')),
  },
  'being one of many': {
    async run({ requester }, signal) {
      for await (const { error } of requester.requestEach(echo, [value, value], { signal }))
        assert.equal(error, undefined)
    },
  },
  'being one of many, with a signal of its own': {
    async run({ requester }, signal) {
      const requestOptions = (): { signal: AbortSignal } => ({ signal })
      for await (const { error } of requester.requestEach(echo, [value, value], { requestOptions }))
        assert.equal(error, undefined)
    },
  },
}

for (const [what, { respond, options, wrap, run }] of Object.entries(cases))
  test(`nothing listens to a request’s signal after ${what}`, async () => {
    const setup = await setUp(respond, options, wrap)
    const { signal } = new AbortController()
    const listeners = (): number => getEventListeners(signal, 'abort').length
    await run(setup, signal, () => assert.equal(listeners(), 1, 'it listens while there is no outcome'))
    assert.equal(listeners(), 0)
  })

/** As a polyfill, or another realm, has it: Node knows nothing of it, so whoever listens has to stop by itself. */
class ForeignSignal {
  readonly aborted = false
  readonly reason = undefined
  readonly listeners = new Set<unknown>()
  most = 0

  addEventListener(_type: string, listener: unknown): void {
    this.listeners.add(listener)
    this.most = Math.max(this.most, this.listeners.size)
  }

  removeEventListener(_type: string, listener: unknown): void {
    this.listeners.delete(listener)
  }
}

test('nothing listens to a signal that is none of Node’s after the requests of many items', async () => {
  let room = 0
  const { requester } = await setUp(undefined, { maxPending: 2 })
  const foreign = new ForeignSignal()
  const signal = foreign as unknown as AbortSignal
  const items = Array.from({ length: 20 }, () => value)
  for await (const { error } of requester.requestEach(echo, items, {
    concurrency: 4,
    requestOptions: (_item, index) => (index === 7 ? { signal, key: 'k' } : { signal }),
  }))
    if (error === undefined) room++
  assert.equal(room, 20)
  assert.ok(foreign.most > 0)
  assert.equal(foreign.listeners.size, 0)
})
