/** Requesters and repliers with each of the wire profiles, on a broker in memory. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { RemoteError, ReplyError } from '../src/errors.ts'
import { createReplier } from '../src/replier/replier.ts'
import { createRequester, type Requester } from '../src/requester/requester.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import { createMemoryBroker } from '../src/transport/memory/broker.ts'
import type { IncomingRecord, Transport } from '../src/transport/transport.ts'
import type { RawHeader } from '../src/wire/headers.ts'
import { nestProfile } from '../src/wire/nest.ts'
import type { WireProfile } from '../src/wire/profile.ts'
import { smallryeProfile } from '../src/wire/smallrye.ts'
import { springTextProfile } from '../src/wire/spring-text.ts'
import { springProfile } from '../src/wire/spring.ts'
import { until } from './asking.ts'

const say = defineOperation({ name: 'say', topic: 'shop_request', request: string(), reply: string() })
const address = { topic: 'shop_reply', partition: 1 }

interface Shop {
  readonly requester: Requester
  readonly far: Transport
  /** Correlation ids as the handler has seen them, in hexadecimal. */
  readonly seen: (string | undefined)[]
  readonly requests: IncomingRecord[]
  readonly replies: IncomingRecord[]
}

/** @param answers false: there is nobody who does */
async function open(t: TestContext, profile: WireProfile, answers = true): Promise<Shop> {
  const broker = createMemoryBroker({
    topics: [
      { name: 'shop_request', partitions: 1 },
      { name: 'shop_reply', partitions: 2 },
    ],
  })
  const seen: (string | undefined)[] = []
  const requests: IncomingRecord[] = []
  const replies: IncomingRecord[] = []
  const transport = broker.connect()
  const far = broker.connect()
  const replier = createReplier({ transport: far, groupId: 'shop', profile })
  replier.handle(say, (text, context) => {
    seen.push(context.correlationId)
    if (text === 'fail') throw new ReplyError('CARD_DECLINED', 'the card has expired', { effect: 'none' })
    return `say : ${text}`
  })
  if (answers) await replier.start()
  for (const [topic, log] of [
    ['shop_request', requests],
    ['shop_reply', replies],
  ] as const)
    await far.tail({
      topic,
      partitions: 'all',
      from: 'earliest',
      onRecords: (read) => void log.push(...read),
    })
  const requester = await createRequester({
    transport,
    profile,
    replyRouting: replyPartition(address),
  })
  t.after(async () => {
    await requester.close()
    await replier.close()
    await far.close()
    await transport.close()
  })
  return { requester, far, seen, requests, replies }
}

const namesOf = ({ headers }: IncomingRecord): string[] => headers.map(([name]) => name.toString())

for (const profile of [springProfile, springTextProfile, nestProfile, smallryeProfile]) {
  describe(`with the profile ${profile.name}`, () => {
    it('both sides call a request by the same id, and an error has what its handler knew', async (t) => {
      const { requester, seen } = await open(t, profile)
      const reply = await requester.request(say, 'tea')
      assert.equal(reply.value, 'say : tea')
      assert.deepEqual(seen, [reply.correlationId])
      await assert.rejects(requester.request(say, 'fail'), (error) => {
        assert.ok(error instanceof RemoteError)
        const { remoteCode, remoteMessage, effect } = error
        assert.deepEqual(
          [remoteCode, remoteMessage, effect],
          ['CARD_DECLINED', 'the card has expired', 'none'],
        )
        return true
      })
    })

    it('a caller that knows nothing of us gets its own id, and an error that its world understands', async (t) => {
      const { far, replies } = await open(t, profile)
      const [name] = profile.correlationHeader(Buffer.alloc(16))
      const id = Buffer.from('sixteen letters.')
      for (const text of ['tea', 'fail'])
        await far.send({
          topic: 'shop_request',
          key: null,
          value: Buffer.from(text),
          headers: [[name, id], ...profile.addressHeaders(address)],
        })
      await until('both have come', () => replies.length === 2)
      const [answer, failure] = replies as [IncomingRecord, IncomingRecord]
      for (const reply of replies) {
        assert.deepEqual(reply.headers.find((header) => header[0].equals(name))?.[1], id)
        assert.equal(reply.partition, 1)
      }
      assert.deepEqual(answer.headers.slice(1), profile.replyHeaders ?? [])
      const error = { code: 'CARD_DECLINED', message: 'the card has expired' }
      const marked = [...(profile.replyHeaders ?? []), ...(profile.errorHeaders?.(error) ?? [])]
      assert.deepEqual(failure.headers.slice(1, 1 + marked.length), marked)
      assert.ok(namesOf(failure).includes('milena-error-code'))
      assert.equal(failure.value, null)
    })

    it('an application’s headers cannot be taken for the library’s', async (t) => {
      const { requester, requests } = await open(t, profile)
      const forged = [
        ...(profile.replyHeaders ?? []),
        ...(profile.errorHeaders?.({ code: 'C', message: 'm' }) ?? []),
      ]
      const headers = Object.fromEntries(forged.map(([name, value]) => [name.toString(), value]))
      assert.equal((await requester.request(say, 'tea', { headers })).value, 'say : tea')
      for (const name of Object.keys(headers)) assert.ok(!namesOf(requests[0]!).includes(name), name)
    })
  })
}

it('an error of another world is a remote error whose effect is unknown; what only ends a stream contradicts nothing', async (t) => {
  const { requester, far, requests } = await open(t, nestProfile, false)
  const reply = async (value: string | null, ...headers: RawHeader[]): Promise<void> => {
    const echo = nestProfile.echoHeader!(requests.at(-1)!.headers)
    const bytes = value === null ? null : Buffer.from(value)
    await far.send({ ...address, key: null, value: bytes, headers: [echo, ...headers] })
  }
  const [disposed] = nestProfile.replyHeaders!

  const declined = assert.rejects(requester.request(say, 'fail'), (error) => {
    assert.ok(error instanceof RemoteError)
    assert.deepEqual([error.remoteCode, error.remoteMessage, error.effect], ['NO', 'no', 'unknown'])
    return true
  })
  await until('it is asked', () => requests.length === 1)
  await reply(null, [Buffer.from('kafka_nest-err'), Buffer.from('{"code":"NO","message":"no"}')], disposed!)
  await declined

  const answered = requester.request(say, 'tea')
  await until('it is asked', () => requests.length === 2)
  await reply('one')
  assert.equal((await answered).value, 'one')
  await reply(null, disposed!)
  await until('the end has come', () => requester.stats().duplicate === 1)
  assert.equal(requester.stats().contradicting, 0)
})
