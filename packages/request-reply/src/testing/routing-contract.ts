/**
 * What every reply routing must do, in which instances join, leave and are killed while others have requests in
 * flight. It runs in memory, on the embedded broker and on Apache Kafka.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { defineOperation } from '../contract/operation.ts'
import { string } from '../contract/payload.ts'
import { createRequester, type Requester } from '../requester/requester.ts'
import type { Transport } from '../transport/transport.ts'
import type { ReplyAddress } from '../wire/profile.ts'
import { answering, type Answering } from './answering.ts'
import { describeRoutingState } from './routing-state-contract.ts'
import type { RoutingTarget } from './routing-target.ts'
import { until } from './until.ts'

interface Instance {
  readonly requester: Requester
  readonly transport: Transport
}

const perInstance = 20

/**
 * Tells a test runner the tests that every `ReplyRouting` must pass. To be called at the top of a test file, or in a
 * `describe`. A test waits up to 90 s for what must come, and takes much less when it does.
 *
 * @param name for the title: which routing, and on what
 */
export function describeRoutingContract(name: string, target: RoutingTarget): void {
  describeRoutingState(name, target)
  describeReplyDelivery(name, target)
}

/**
 * The part of the contract that says that replies reach who asked; of a routing whose replies do not come out of a log,
 * such as `redisRelay`, this is what there is to ask.
 */
export function describeReplyDelivery(name: string, target: RoutingTarget): void {
  const { describe, test, afterEach } = target.runner
  describe(`routing contract: ${name}`, () => {
    const transports: Transport[] = []
    const topics = new Set<string>()
    const requesters: Requester[] = []

    afterEach(async () => {
      for (const requester of requesters.splice(0)) await requester.close({ timeout: 0 }).catch(() => {})
      const admin = await connect()
      await admin.deleteTopics([...topics])
      topics.clear()
      for (const transport of transports.splice(0)) await transport.close()
    })

    async function connect(): Promise<Transport> {
      const transport = await target.connect()
      transports.push(transport)
      return transport
    }

    async function setUp(): Promise<{ join: () => Promise<Instance>; ask: Ask; replier: Answering }> {
      const unique = randomBytes(5).toString('hex')
      const requests = `requests_${unique}`
      const replierTransport = await connect()
      await replierTransport.createTopics([{ name: requests, partitions: 3 }])
      topics.add(requests)
      let instances = 0
      const replier = await answering(
        target.replying?.(replierTransport) ?? replierTransport,
        requests,
        () => undefined,
      )
      const operation = defineOperation({
        name: 'ask',
        topic: requests,
        request: string(),
        reply: string(),
        timeout: 90_000,
      })
      return {
        replier,
        ask: (instance, from) =>
          Array.from({ length: perInstance }, async (_, n) => {
            const question = `${instance.requester.instanceId} ${from} ${n}`
            const reply = await instance.requester.request(operation, question)
            assert.equal(reply.value, `answer to ${question}`)
          }),
        async join() {
          const transport = await connect()
          const requester = await createRequester({
            transport,
            replyRouting: target.routing(unique, instances++),
            createTopics: true,
          })
          requesters.push(requester)
          for (const { topic } of requester.stats().replyAddresses) topics.add(topic)
          return { requester, transport }
        },
      }
    }

    test('every reply reaches the instance that asked', async () => {
      const { join, ask, replier } = await setUp()
      const instances = [await join(), await join(), await join()]
      const asked = instances.flatMap((instance) => ask(instance, 'first'))
      await answerAll(replier, asked.length)
      await Promise.all(asked)
      for (const { requester } of instances) {
        const { replied, late, duplicate, timedOut } = requester.stats()
        assert.deepEqual(
          { replied, late, duplicate, timedOut },
          { replied: perInstance, late: 0, duplicate: 0, timedOut: 0 },
        )
      }
      await replier.close()
    })

    test('a reply sent in the moment in which the requester has opened is received', async () => {
      const { join, ask, replier } = await setUp()
      for (let round = 0; round < 3; round++) {
        const asked = ask(await join(), 'at once')
        await answerAll(replier, asked.length)
        await Promise.all(asked)
      }
      await replier.close()
    })

    test('instances that join, leave and are killed cost no other instance a reply', async () => {
      const { join, ask, replier } = await setUp()
      const [staying, leaving, killed] = [await join(), await join(), await join()]
      const asked = [...ask(staying, 'before'), ...ask(leaving, 'before')]
      const given = ask(killed, 'before').map((request) => request.catch(() => 'ended with its instance'))
      await requestsSeen(replier, asked.length + given.length)

      await killed.transport.close()
      const joined = await join()
      asked.push(...ask(joined, 'joined'), ...ask(staying, 'after'))
      await requestsSeen(replier, asked.length + given.length)
      const left = leaving.requester.close({ timeout: 90_000 })
      await join()
      await answerAll(replier, asked.length + given.length)

      await Promise.all([...asked, left])
      const later = ask(staying, 'later')
      await answerAll(replier, later.length)
      await Promise.all(later)
      assert.equal(staying.requester.stats().replied, 3 * perInstance)
      assert.equal(leaving.requester.stats().replied, perInstance)
      assert.equal(joined.requester.stats().replied, perInstance)
      await killed.requester.close({ timeout: 0 }).catch(() => {})
      await Promise.all(given)
      await replier.close()
    })

    test('close ends receiving', async () => {
      const { join, ask, replier } = await setUp()
      const { requester, transport } = await join()
      const asked = ask({ requester, transport }, 'last')
      await answerAll(replier, asked.length)
      await Promise.all(asked)
      const address = requester.stats().replyAddress
      await requester.close()
      const read = requester.stats().recordsRead
      const stands = (await (await connect()).describeTopics([address.topic])).size > 0
      // The second ones come when the first ones have been read by others: who still receives has them by then.
      for (let round = 1; round <= 2; round++) {
        const witness = stands ? await witnessOf(address) : undefined
        const sends = replier.requests.map((request) => replier.answer(request, { value: null }))
        const sent = (await Promise.allSettled(sends)).filter(({ status }) => status === 'fulfilled')
        if (stands) assert.ok(sent.length > 0, 'what nobody receives any more can still be sent')
        await witness?.reads(sent.length)
      }
      assert.equal(requester.stats().recordsRead, read)
      await replier.close()
    })

    /** Somebody else who reads what comes to this address from now on. */
    async function witnessOf({
      topic,
      partition,
    }: ReplyAddress): Promise<{ reads(count: number): Promise<void> }> {
      let count = 0
      const partitions = partition === undefined ? ('all' as const) : [partition]
      const onRecords = (records: readonly unknown[]): void => void (count += records.length)
      const tail = await (await connect()).tail({ topic, partitions, from: 'latest', onRecords })
      return {
        async reads(wanted) {
          await until('what was sent is read', () => count >= wanted)
          await tail.close()
        },
      }
    }
  })
}

type Ask = (instance: Instance, from: string) => Promise<void>[]

const answered = new WeakMap<Answering, number>()

/** Waits for this many requests in all, and answers those that are not answered yet. */
async function answerAll(replier: Answering, count: number): Promise<void> {
  const before = answered.get(replier) ?? 0
  await requestsSeen(replier, before + count)
  answered.set(replier, before + count)
  const due = replier.requests.slice(before, before + count)
  // An instance that is gone may have taken its reply topic with it.
  await Promise.allSettled(
    due.map((request) =>
      replier.answer(request, { value: Buffer.from(`answer to ${request.value!.toString()}`) }),
    ),
  )
}

function requestsSeen(replier: Answering, count: number): Promise<void> {
  return until(`${count} requests have come`, () => replier.requests.length >= count)
}
