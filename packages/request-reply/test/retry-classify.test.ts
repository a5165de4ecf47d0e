/** Which failures are tried again when nobody says otherwise. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { z } from 'zod'
import { MilenaError, remoteCodes, RemoteError, ReplyError, TimeoutError } from '../src/errors.ts'
import type { ErrorOutcome } from '../src/replier/outcome.ts'
import { isRetryable } from '../src/retry/classify.ts'

const failed: ErrorOutcome = { kind: 'error', code: remoteCodes.handlerFailed, message: 'failed' }

function coded(code: string, cause?: unknown): Error {
  return Object.assign(new Error('failed', { cause }), { code })
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function thrownBy(run: () => unknown): Promise<unknown> {
  try {
    await run()
  } catch (error) {
    return error
  }
  throw new Error('it has not failed')
}

test('everything unexpected is tried again', async () => {
  const again: unknown[] = [
    new Error('the pool is exhausted'),
    coded('ECONNREFUSED'),
    coded('40001'),
    new AggregateError([coded('ECONNREFUSED')], 'all failed'),
    new DOMException('too slow', 'TimeoutError'),
    'text',
    undefined,
    { error: 'no' },
    new MilenaError('MILENA_OVERLOADED', 'too many'),
    new MilenaError('MILENA_NOT_SENT', 'not sent'),
    // Nobody listens there.
    await thrownBy(async () => fetch(`http://127.0.0.1:${await closedPort()}/`)),
    Object.assign(new TypeError('terminated'), { cause: coded('UND_ERR_SOCKET') }),
    Object.assign(new TypeError('fetch failed'), { cause: coded('EAI_AGAIN') }),
  ]
  for (const error of again) assert.equal(isRetryable(error, failed), true, String(error))
})

test('programming errors, validation, and errors of ours that do not say retryable are final', async () => {
  const final: unknown[] = [
    await thrownBy(() => (undefined as unknown as string).length),
    await thrownBy(() => 'x'.repeat(-1)),
    await thrownBy(() => JSON.parse('{')),
    await thrownBy(() => decodeURIComponent('%')),
    await thrownBy(() => assert.equal(1, 2)),
    await thrownBy(() => Buffer.alloc('x' as unknown as number)),
    await thrownBy(() => fetch('no address')),
    await thrownBy(() => fetch('http://127.0.0.1:1/')), // a port that fetch never asks
    await thrownBy(() => z.string().parse(1)),
    Object.assign(new Error('of another realm'), { name: 'TypeError' }),
    new TimeoutError('pay', 1_000),
    new RemoteError('pay', 'DECLINED', 'no'),
    new MilenaError('MILENA_TOPIC_MISSING', 'no topic'),
  ]
  for (const error of final) assert.equal(isRetryable(error, failed), false, String(error))
})

test('the library’s refusals are final, whatever was thrown', () => {
  for (const code of Object.values(remoteCodes)) {
    if (code === remoteCodes.handlerFailed) continue
    assert.equal(isRetryable(undefined, { ...failed, code }), false, code)
    assert.equal(isRetryable(coded('ECONNREFUSED'), { ...failed, code }), false, code)
  }
})

test('a ReplyError, and an error outcome of a middleware, as they say', () => {
  const outcome: ErrorOutcome = { kind: 'error', code: 'BUSY', message: 'later' }
  assert.equal(isRetryable(new ReplyError('BUSY', 'later'), outcome), false)
  assert.equal(isRetryable(new ReplyError('BUSY', 'later'), { ...outcome, retryable: true }), true)
  assert.equal(isRetryable(undefined, outcome), false)
  assert.equal(isRetryable(undefined, { ...outcome, retryable: true }), true)
})

test('what cannot be looked at is final, and nothing is thrown', () => {
  const hostile = new Proxy(new Error('x'), {
    get() {
      throw new Error('no')
    },
    getPrototypeOf() {
      throw new Error('no')
    },
  })
  assert.equal(isRetryable(hostile, failed), false)
  const circle = new TypeError('circle')
  circle.cause = circle
  assert.equal(isRetryable(circle, failed), false)
})
