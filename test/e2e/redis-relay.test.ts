/** `redisRelay`: replies that come through Redis, and what Redis's absence means. */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import {
  createReplier,
  createRequester,
  defineOperation,
  openKafka,
  ReplyError,
  string,
  type Replier,
  type Requester,
  type Transport,
} from '@milena/request-reply'
import { redisRelay, relayReplies, type RedisRelayOptions, type ReplyRelay } from '@milena/redis'
import { describeReplyDelivery } from '@milena/request-reply/testing'
import { encodeReply } from '../../packages/redis/src/relay-message.ts'
import { openTestCluster, uniqueName, type TestCluster } from '../support/cluster.ts'
import { hasRedis, noRedis, openTestRedis, type TestRedis } from '../support/redis.ts'
import { waitFor } from '../support/wait-for.ts'
import { Redis } from 'ioredis'

const skip = hasRedis() ? false : noRedis

describe('the Redis relay', { skip }, () => {
  let cluster: TestCluster
  let redis: TestRedis
  let publisher: Redis
  const open = new Set<AsyncDisposable>()
  before(async () => {
    cluster = await openTestCluster()
    redis = await openTestRedis()
    publisher = new Redis(redis.url)
    publisher.on('error', () => {})
  })
  afterEach(async () => {
    for (const one of open) await one[Symbol.asyncDispose]()
    open.clear()
  })
  after(async () => {
    publisher.disconnect()
    await redis.close()
    await cluster.close()
  })

  const connect = (): Promise<Transport> => openKafka({ brokers: cluster.brokers })

  /** What it sends is relayed too, as `relayReplies` does it. */
  const replying = (transport: Transport): Transport =>
    new Proxy(transport, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name)
        if (name !== 'send') return typeof value === 'function' ? value.bind(target) : value
        return async (record: Parameters<Transport['send']>[0]) => {
          const [, id] = record.headers.find(([header]) => String(header) === 'kafka_correlationId')!
          const key = `kafka:reply:${id!.toString('hex')}`
          const message = encodeReply(record)
          await publisher.pipeline().set(key, message, 'PX', 60_000).publish(key, message).exec()
          return target.send(record)
        }
      },
    })

  for (const notify of ['subscribe', 'poll'] as const) {
    describeReplyDelivery(`redisRelay (${notify})`, {
      runner: { describe, test, before, after, afterEach },
      connect,
      replying,
      routing: (unique) =>
        redisRelay({ url: redis.url, topic: `replies_${unique}`, notify, pollInterval: 50 }),
    })
  }

  interface Pair {
    readonly requester: Requester
    readonly replier: Replier
    readonly relay: ReplyRelay
    readonly ask: (value: string) => Promise<string>
    /** Lets handlers of requests that begin with `wait` go on. */
    readonly goOn: () => void
    readonly handled: string[]
  }

  async function pair(options: Partial<RedisRelayOptions> = {}): Promise<Pair> {
    const requests = uniqueName('relayed')
    const replies = `${requests}_replies`
    cluster.own(requests)
    cluster.own(replies)
    const operation = defineOperation({ name: 'ask', topic: requests, request: string(), reply: string() })
    const gate = Promise.withResolvers<void>()
    const handled: string[] = []
    const replier = createReplier({
      kafka: { brokers: cluster.brokers },
      groupId: requests,
      replyTopics: [replies],
      createTopics: true,
      logger: { warn() {} },
    })
    const relay = relayReplies({ url: redis.url })
    replier.useRecords(relay)
    replier.handle(operation, async (value) => {
      handled.push(value)
      if (value.startsWith('wait')) await gate.promise
      if (value === 'fail') throw new ReplyError('DECLINED', 'not today', { effect: 'none' })
      return `answer to ${value}`
    })
    open.add(replier)
    await replier.start()
    const requester = await createRequester({
      kafka: { brokers: cluster.brokers },
      replyRouting: redisRelay({ url: redis.url, topic: replies, ...options }),
      createTopics: true,
      timeout: 60_000,
    })
    open.add(requester)
    const ask = async (value: string): Promise<string> => (await requester.request(operation, value)).value
    return { requester, replier, relay, ask, goOn: gate.resolve, handled }
  }

  for (const notify of ['subscribe', 'poll'] as const) {
    test(`a replier's reply and its error reach the requester (${notify})`, async () => {
      const { ask, relay } = await pair({ notify, pollInterval: 50 })
      assert.equal(await ask('one'), 'answer to one')
      await assert.rejects(ask('fail'), { remoteCode: 'DECLINED', effect: 'none', outcomeKnown: true })
      await waitFor(() => relay.stats().inFlight === 0, { what: 'Redis to have said so' })
      assert.deepEqual(relay.stats(), { relayed: 2, notRelayed: 0, inFlight: 0 })
    })
  }

  test('while Redis is away nothing is sent, and health says so; when it is back, it goes on', async () => {
    const { ask, requester, replier, handled } = await pair()
    assert.equal(await ask('before'), 'answer to before')
    await redis.kill()
    await waitFor(() => !requester.health().receiving, { what: 'the requester to notice' })
    assert.equal(requester.health().troubles[0]!.kind, 'unreachable')
    await assert.rejects(ask('meanwhile'), { code: 'MILENA_NOT_RECEIVING', sent: 'no' })
    assert.deepEqual(handled, ['before'])
    await redis.restart()
    await waitFor(() => requester.health().receiving, { what: 'the requester to go on' })
    assert.equal(await ask('after'), 'answer to after')
    assert.deepEqual(replier.health().stopped, [])
  })

  test('a reply that was relayed while the requester was cut off is asked for when it is back', async () => {
    const { ask, requester, goOn, handled } = await pair()
    const asked = ask('wait')
    await waitFor(() => handled.length === 1, { what: 'the request to be handled' })
    const listening = (await publisher.client('LIST')) as string
    const ids = [...listening.matchAll(/^id=(\d+) .* psub=1 /gm)].map(([, id]) => id!)
    assert.equal(ids.length, 1)
    // Before it hears the reply, and for as long as the reply takes to be there.
    await publisher.call('CLIENT', 'PAUSE', '1', 'WRITE')
    await publisher.client('KILL', 'ID', Number(ids[0]))
    goOn()
    assert.equal(await asked, 'answer to wait')
    await waitFor(() => requester.health().receiving, { what: 'the requester to go on' })
  })

  test('a replier whose Redis is away replies to Kafka as ever, and counts what it could not relay', async () => {
    const { ask, replier, relay, goOn, handled } = await pair()
    const asked = ask('wait').catch(() => 'given up with its requester')
    await waitFor(() => handled.length === 1, { what: 'the request to be handled' })
    await redis.kill()
    goOn()
    await waitFor(() => replier.stats().replied === 1, { what: 'the reply to be in Kafka' })
    await waitFor(() => relay.stats().notRelayed === 1, { what: 'the relay to have failed' })
    await redis.restart()
    for (const one of open) await one[Symbol.asyncDispose]()
    open.clear()
    await asked
  })
})
