/** The requester's `headers`: called for each request, wherever that comes from. */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import type { RequestTrace } from '../src/diagnostics.ts'
import type { OutgoingRequest, RequesterOptions } from '../src/requester/options.ts'
import { MessageHeaders } from '../src/wire/headers.ts'
import type { Answering } from '../src/testing/answering.ts'
import { echo, opened, setUp, StagedRouting, until } from './requesting.ts'

const tenants = new AsyncLocalStorage<string>()
const byTenant: Partial<RequesterOptions> = {
  headers: () => ({ tenant: tenants.getStore() ?? 'nobody' }),
}

/** The tenant of each request that has come, by its value. */
function seen({ requests }: Answering): Record<string, string | undefined> {
  return Object.fromEntries(
    requests.map(({ value, headers }) => [
      String(value).replaceAll('"', ''),
      new MessageHeaders(headers).text('tenant'),
    ]),
  )
}

function addSpan(trace: unknown): void {
  ;(trace as RequestTrace).headers.push([Buffer.from('traceparent'), Buffer.from('the span')])
}

const text = { name: 'text', topic: 'requests', request: string(), reply: string() } as const

test('it is called in the async context of who asked, also where something had to be waited for', async () => {
  const routing = new StagedRouting()
  const { requester, replier } = await setUp(undefined, {
    ...byTenant,
    replyRouting: routing,
    whileNotReceiving: 'wait',
  })
  const slow = defineOperation({
    ...text,
    request: {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: async (value: unknown) => {
          await new Promise((resolve) => setImmediate(resolve))
          return { value: String(value) }
        },
      },
    },
  })
  const fast = defineOperation(text)
  const ask = (tenant: string, run: () => Promise<unknown>): Promise<unknown> => tenants.run(tenant, run)
  // The topic is not known yet; the schema takes its time; the next one waits for the one before it, of its key.
  await Promise.all([
    ask('a', () => requester.request(fast, 'the topic is waited for')),
    ask('b', () => requester.request(slow, 'the schema is waited for', { key: 'k' })),
    ask('c', () => requester.request(fast, 'one of its key is waited for', { key: 'k' })),
  ])
  await ask('d', () => requester.request(fast, 'at once'))
  routing.tell({
    kind: 'reading',
    topic: 'replies',
    partition: 2,
    since: 0,
    error: new Error('away'),
  } as never)
  const waiting = ask('e', () => requester.request(fast, 'replies are waited for'))
  tenants.run('somebody else', () => routing.tell())
  await waiting
  await ask('f', () => requester.send(fast, 'one way'))
  await ask('g', async () => {
    for await (const { reply } of requester.requestEach(fast, ['each 1', 'each 2', 'each 3'], {
      concurrency: 1,
    }))
      assert.ok(reply)
  })
  const prepared = await ask('nobody', () => requester.prepare(fast, 'registered'))
  await ask('h', () => {
    const pending = requester.register(prepared as never)
    void pending.dispatch()
    return pending.reply
  })
  await until(() => replier.requests.length === 10)
  assert.deepEqual(seen(replier), {
    'the topic is waited for': 'a',
    'the schema is waited for': 'b',
    'one of its key is waited for': 'c',
    'at once': 'd',
    'replies are waited for': 'e',
    'one way': 'f',
    'each 1': 'g',
    'each 2': 'g',
    'each 3': 'g',
    registered: 'h',
  })
})

test('it is told what is asked, with which key and headers, and what it gives comes behind these', async () => {
  const told: OutgoingRequest[] = []
  const { requester, replier } = await setUp(undefined, {
    headers(outgoing) {
      told.push(outgoing)
      return outgoing.headers.text('mine') === undefined ? { mine: 'the requester', other: 'too' } : undefined
    },
  })
  const value = Buffer.from('x')
  await requester.request(echo, value, { key: 'k', headers: { other: 'the caller' } })
  await requester.request(echo, value, { headers: { mine: 'the caller' } })
  const [outgoing] = told
  assert.deepEqual(
    [outgoing!.operation, outgoing!.topic, outgoing!.request, String(outgoing!.key)],
    ['echo', 'requests', value, 'k'],
  )
  const [first, second] = replier.requests.map(({ headers }) => new MessageHeaders(headers))
  assert.deepEqual([first!.text('mine'), first!.text('other')], ['the requester', 'too'])
  assert.deepEqual([second!.text('mine'), second!.text('other')], ['the caller', undefined])
})

test('what a subscriber of tracing adds comes behind all else, for the last of a name counts', async () => {
  const { requester, replier } = await setUp(undefined, { headers: () => ({ traceparent: 'the requester' }) })
  const channel = 'tracing:milena:request:start'
  subscribe(channel, addSpan)
  opened.push({ close: async () => void unsubscribe(channel, addSpan) })
  await requester.request(echo, Buffer.from('x'), { headers: { traceparent: 'the caller' } })
  const { headers } = replier.requests[0]!
  const given = headers.flatMap(([name, value]) => (String(name) === 'traceparent' ? [String(value)] : []))
  assert.deepEqual(given, ['the caller', 'the requester', 'the span'])
})
