/**
 * What every reply routing says of its own state: lasting troubles with a beginning and an end, and where a successor
 * under the same address goes on. It runs where `routing-contract.ts` runs.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { systemClock } from '../clock.ts'
import { OptionsError } from '../errors.ts'
import { openRoutes, type ReplyRoutes, type RoutesContext } from '../routing/reply-routes.ts'
import type { IncomingRecord, RecordPosition, Transport, Trouble } from '../transport/transport.ts'
import type { RoutingTarget } from './routing-target.ts'
import { until } from './until.ts'

interface Opened {
  readonly routing: ReplyRoutes
  readonly transport: Transport
  readonly received: string[]
  readonly told: (readonly Trouble[])[]
  readonly warnings: Error[]
}

export function describeRoutingState(name: string, target: RoutingTarget): void {
  const { describe, test, afterEach } = target.runner
  describe(`routing state contract: ${name}`, () => {
    const transports: Transport[] = []
    const routings: ReplyRoutes[] = []
    const topics = new Set<string>()

    afterEach(async () => {
      for (const routing of routings.splice(0)) await routing.close()
      await (await connect()).deleteTopics([...topics])
      topics.clear()
      for (const transport of transports.splice(0)) await transport.close()
    })

    async function connect(): Promise<Transport> {
      const transport = await target.connect()
      transports.push(transport)
      return transport
    }

    async function open(unique: string, options: Partial<RoutesContext> = {}): Promise<Opened> {
      const transport = await connect()
      const received: string[] = []
      const told: (readonly Trouble[])[] = []
      const warnings: Error[] = []
      const routing = await openRoutes([target.routing(unique, 0)].flat(), {
        transport,
        instanceId: 'gw-1',
        createTopics: true,
        resumeFrom: undefined,
        pending: () => [],
        clock: systemClock,
        receive: (records: readonly IncomingRecord[]) =>
          void received.push(...records.map((record) => record.value!.toString())),
        unreadable() {},
        onTrouble: (troubles) => void told.push(troubles),
        warn: (error) => void warnings.push(error),
        ...options,
      })
      routings.push(routing)
      for (const each of routing.all) topics.add(each.address().topic)
      return { routing, transport, received, told, warnings }
    }

    async function deleted(owner: Opened): Promise<{ admin: Transport; partitions: number }> {
      const admin = await connect()
      const { topic } = owner.routing.address()
      const { partitions } = (await admin.describeTopics([topic])).get(topic)!
      const before = Date.now()
      await admin.deleteTopics([topic])
      await until('the trouble is told', () => owner.told.some((list) => missing(list) !== undefined))
      const trouble = missing(owner.told.find((list) => missing(list) !== undefined)!)!
      assert.equal(trouble.topic, topic)
      assert.ok(
        trouble.since >= before - 1_000 && trouble.since <= Date.now() + 1_000,
        `since ${trouble.since}`,
      )
      assert.ok(trouble.error instanceof Error)
      return { admin, partitions }
    }

    test('a reply topic that is deleted is a trouble, until somebody has made it again', async () => {
      const unique = randomBytes(5).toString('hex')
      await (await open(unique, { instanceId: 'maker' })).routing.close()
      const owner = await open(unique, { createTopics: false })
      assert.deepEqual(owner.routing.troubles(), [])
      const { admin, partitions } = await deleted(owner)
      const { topic } = owner.routing.address()
      await until('the trouble ends', async () => {
        if (owner.routing.troubles().length === 0) return true
        assert.equal(owner.routing.troubles(), owner.routing.troubles(), 'a new list for each question')
        await admin.createTopics([{ name: topic, partitions }])
        return false
      })
      assert.deepEqual(owner.told.at(-1), [])
      await reply(admin, owner, 'after')
      await until('the reply is received', () => owner.received.includes('after'))
    })

    test('with createTopics a reply topic that is deleted is made again, as it was, and the trouble ends', async () => {
      const owner = await open(randomBytes(5).toString('hex'))
      const { admin, partitions } = await deleted(owner)
      const { topic } = owner.routing.address()
      await until('the trouble ends', () => owner.routing.troubles().length === 0)
      assert.equal((await admin.describeTopics([topic])).get(topic)?.partitions, partitions)
      await reply(admin, owner, 'after')
      await until('the reply is received', () => owner.received.includes('after'))
    })

    test('a successor under the same instance id has the same address and reads on where it is told to', async () => {
      const unique = randomBytes(5).toString('hex')
      const killed = await open(unique)
      const admin = await connect()
      await reply(admin, killed, 'before')
      await until('the reply is received', () => killed.received.includes('before'))
      const positions = killed.routing.positions()
      await killed.transport.close()
      await reply(admin, killed, 'meanwhile')
      const successor = await open(unique, { resumeFrom: positions })
      assert.deepEqual(successor.routing.address(), killed.routing.address())
      await successor.routing.caughtUp()
      assert.deepEqual(successor.received, ['meanwhile'])
      await reply(admin, successor, 'after')
      await until('the reply is received', () => successor.received.includes('after'))
      // Beside the two, the question whether the predecessor lives (`living-owner.ts`), where the routing has one.
      const read = sumOf(successor.routing.positions()) - sumOf(positions)
      assert.ok(read === 2 || read === 3, `${read} records`)
      assert.deepEqual(successor.received, ['meanwhile', 'after'])
      assert.deepEqual(killed.received, ['before'])
    })

    test('a successor that is not told where to read on gets nothing that stood there before it', async () => {
      const unique = randomBytes(5).toString('hex')
      const killed = await open(unique)
      const admin = await connect()
      await reply(admin, killed, 'before')
      await until('the reply is received', () => killed.received.includes('before'))
      await killed.transport.close()
      const successor = await open(unique)
      await reply(admin, successor, 'after')
      await until('the reply is received', () => successor.received.includes('after'))
      assert.deepEqual(successor.received, ['after'])
    })

    test('positions that this instance does not read are an error that names them', async () => {
      const unique = randomBytes(5).toString('hex')
      const { routing } = await open(unique)
      const { topic } = routing.address()
      for (const position of [
        { topic: 'another', partition: 0, offset: 0 },
        { topic, partition: 4_000, offset: 0 },
      ]) {
        await assert.rejects(
          open(unique, { resumeFrom: [position] }),
          (error) =>
            error instanceof OptionsError &&
            /resumeFrom/.test(error.message) &&
            error.message.includes(String(position.topic === topic ? position.partition : position.topic)),
        )
      }
    })

    test('close after the transport was closed waits for nothing and tells nothing', async () => {
      const { routing, transport, warnings } = await open(randomBytes(5).toString('hex'))
      await transport.close()
      const before = performance.now()
      await routing.close()
      assert.ok(performance.now() - before < 1_000)
      assert.deepEqual(warnings, [])
    })
  })
}

/** A reply to this instance, again until its topic is there for the sender, too. */
async function reply(from: Transport, to: Opened, value: string): Promise<void> {
  const record = { ...to.routing.address(), key: null, value: Buffer.from(value), headers: [] }
  await until('the reply is sent', () =>
    from.send(record).then(
      () => true,
      () => false,
    ),
  )
}

function sumOf(positions: readonly RecordPosition[]): number {
  return positions.reduce((sum, { offset }) => sum + offset, 0)
}

function missing(troubles: readonly Trouble[]): Trouble | undefined {
  return troubles.find((trouble) => trouble.kind === 'topic-missing')
}
