/** Between a requester and its transport: what is not certain, what is taken back, and what is held. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TimeoutError, TransportError, type MilenaError } from '../src/errors.ts'
import type { OutgoingRecord, RecordPosition, Transport } from '../src/transport/transport.ts'
import { altered, assertAccounted, code, echo, setUp, until, type Setup } from './requesting.ts'

const value = Buffer.from('x')

/** A transport that keeps what it is given until the test says what becomes of it. */
class HoldingTransport {
  readonly held = new Map<OutgoingRecord, PromiseWithResolvers<RecordPosition>>()
  onWire = false

  readonly wrap = (transport: Transport): Transport =>
    altered(transport, {
      send: (record) => {
        if (record.topic !== 'requests') return transport.send(record)
        const sending = Promise.withResolvers<RecordPosition>()
        this.held.set(record, sending)
        return sending.promise
      },
      withdraw: (record) => {
        const sending = this.held.get(record)
        if (this.onWire || sending === undefined) return false
        this.held.delete(record)
        sending.reject(new TransportError('MILENA_NOT_SENT', 'it was taken back'))
        return true
      },
    })

  acknowledge(): void {
    for (const { resolve } of this.held.values()) resolve({ topic: 'requests', partition: 0, offset: 0 })
    this.held.clear()
  }
}

async function holding(
  options: Parameters<typeof setUp>[1] = {},
): Promise<Setup & { far: HoldingTransport }> {
  const far = new HoldingTransport()
  const setup = await setUp(() => undefined, options, far.wrap)
  // So that the topic is known.
  const first = setup.requester.request(echo, value, { timeout: 1 }).catch(() => {})
  await until(() => far.held.size === 1)
  await setup.clock.advance(1)
  await first
  assert.equal(far.held.size, 0)
  return { ...setup, far }
}

test('what a send rejects with says nothing, unless it is a transport’s error that says not sent', async () => {
  for (const thrown of [new Error('socket hang up'), Object.create(null), null, undefined, 'no']) {
    for (const sync of [true, false]) {
      const { requester, clock, replier } = await setUp(
        () => undefined,
        {},
        (transport) =>
          altered(transport, {
            send(record) {
              if (record.topic !== 'requests') return transport.send(record)
              void transport.send(record)
              if (sync) throw thrown
              return Promise.reject(thrown as Error)
            },
          }),
      )
      const asked = requester.request(echo, value)
      await until(() => replier.requests.length === 1)
      assert.equal(requester.stats().pending, 1)
      await replier.answer(replier.requests[0]!, { value: Buffer.from('done all the same') })
      assert.equal((await asked).value.toString(), 'done all the same')
      const silent = assert.rejects(requester.request(echo, value, { timeout: 50 }), (error: unknown) => {
        assert.ok(error instanceof TimeoutError)
        assert.equal(error.cause, thrown ?? undefined)
        return code('MILENA_TIMEOUT', { sent: 'unknown', outcomeKnown: false, effect: 'unknown' })(error)
      })
      await until(() => replier.requests.length === 2)
      await clock.advance(50)
      await silent
      assert.equal(requester.stats().sending, 0)
    }
  }
})

test('a transport that returns no promise is an outcome, too', async () => {
  const { requester, clock } = await setUp(undefined, {}, (transport) =>
    altered(transport, { send: () => undefined as never }),
  )
  const outcome = assert.rejects(
    requester.request(echo, value, { timeout: 50 }),
    code('MILENA_TIMEOUT', { sent: 'unknown' }),
  )
  await clock.advance(50)
  await outcome
})

test('what is given up before it is on the wire is taken back, and says that it was not sent', async () => {
  const { requester, clock, far } = await holding()
  const unsent = { sent: 'no', effect: 'none', outcomeKnown: true, retryable: true } as const
  const late = assert.rejects(
    requester.request(echo, value, { timeout: 50 }),
    code('MILENA_NOT_SENT', unsent),
  )
  const controller = new AbortController()
  const cancelled = assert.rejects(
    requester.request(echo, value, { signal: controller.signal }),
    code('MILENA_CANCELLED', unsent),
  )
  const abandoned = assert.rejects(requester.request(echo, value), code('MILENA_ABANDONED', unsent))
  assert.equal(far.held.size, 3)
  controller.abort()
  await cancelled
  await clock.advance(50)
  await late
  assert.equal(far.held.size, 1)
  const { timedOut, cancelled: counted, sending, forgotten } = requester.stats()
  assert.deepEqual([timedOut, counted, sending, forgotten], [2, 1, 1, 0])
  await requester.close()
  await abandoned
  assert.equal(far.held.size, 0)
  assertAccounted(requester)
})

test('what is on the wire is not taken back, and counts until the transport has let go of it', async () => {
  const { requester, clock, far } = await holding({ maxPending: 2, maxPendingBytes: 100_000 })
  far.onWire = true
  const ended = Promise.all(
    [1, 2].map(() =>
      assert.rejects(
        requester.request(echo, value, { timeout: 50 }),
        code('MILENA_TIMEOUT', { sent: 'unknown' }),
      ),
    ),
  )
  await clock.advance(50)
  await ended
  const { pending, sending, sendingBytes } = requester.stats()
  assert.deepEqual([pending, sending], [0, 2])
  assert.ok(sendingBytes > 0)
  await assert.rejects(requester.request(echo, value), code('MILENA_OVERLOADED'))
  far.acknowledge()
  await until(() => requester.stats().sending === 0)
  assert.equal(requester.health().sendingBytes, 0)
  const room = requester.request(echo, value).catch((error: MilenaError) => error.code)
  assert.equal(requester.stats().pending, 1)
  await requester.close()
  assert.equal(await room, 'MILENA_ABANDONED')
})

test('a reply before the acknowledgement does not make room before the transport has let go', async () => {
  const { requester, replier, far, broker } = await holding({ maxPending: 1 })
  const asked = requester.request(echo, value)
  const [record] = far.held.keys()
  const other = broker.connect()
  await other.send(record!)
  await until(() => replier.requests.length === 1)
  await replier.answer(replier.requests[0]!, { value: Buffer.from('early') })
  assert.equal((await asked).value.toString(), 'early')
  assert.deepEqual([requester.stats().pending, requester.stats().sending], [0, 1])
  await assert.rejects(requester.request(echo, value), code('MILENA_OVERLOADED'))
  far.acknowledge()
  await until(() => requester.stats().sending === 0)
  await other.close()
})

test('a request that may be in the log is not said to be unsent since another dispatch was taken back', async () => {
  const { requester, far } = await holding()
  const pending = requester.register(await requester.prepare(echo, value))
  void pending.dispatch()
  far.onWire = true
  far.held.values().next().value!.reject(new Error('who knows'))
  far.held.clear()
  await new Promise((resolve) => setImmediate(resolve))
  far.onWire = false
  void pending.dispatch()
  await requester.close({ timeout: 0 })
  await assert.rejects(pending.reply, code('MILENA_ABANDONED', { sent: 'unknown', effect: 'unknown' }))
  assert.equal(far.held.size, 0)
  assert.equal(requester.stats().sending, 0)
})
