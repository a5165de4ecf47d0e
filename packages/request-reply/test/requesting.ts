/**
 * A requester on a broker in memory with a clock that stands still, and the other side of it. What a test opens is
 * closed after it.
 */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach } from 'node:test'
import { z } from 'zod'
import { defineOperation, type Operation } from '../src/contract/operation.ts'
import { bytes } from '../src/contract/payload.ts'
import type { WarningStep } from '../src/diagnostics.ts'
import { MilenaError } from '../src/errors.ts'
import type { RequesterOptions } from '../src/requester/options.ts'
import type { LateReply } from '../src/requester/reply.ts'
import { createRequester, type Requester } from '../src/requester/requester.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import type { OpenReplyRouting, ReplyRouting, RoutingContext } from '../src/routing/routing.ts'
import { createMemoryBroker, type MemoryBroker } from '../src/transport/memory/broker.ts'
import type { RecordPosition, Transport, Trouble } from '../src/transport/transport.ts'
import type { ReplyAddress } from '../src/wire/profile.ts'
import { answering, type Answering } from '../src/testing/answering.ts'
import { ManualClock } from './manual-clock.ts'

export const echo: Operation<Uint8Array, Buffer, Uint8Array, Buffer> = defineOperation({
  name: 'echo',
  topic: 'requests',
  request: bytes(),
  reply: bytes(),
})

export const add = defineOperation({
  name: 'add',
  topic: 'requests',
  request: z.object({ a: z.number(), b: z.number() }),
  reply: z.object({ sum: z.number() }),
  key: (request) => `k${request.a}`,
})

export const opened: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const thing of opened.splice(0).toReversed()) await thing.close()
})

export interface Setup {
  readonly requester: Requester
  readonly replier: Answering
  readonly clock: ManualClock
  readonly late: LateReply[]
  readonly broker: MemoryBroker
}

export async function setUp(
  respond?: Parameters<typeof answering>[2],
  options: Partial<RequesterOptions> = {},
  wrap: (transport: Transport) => Transport = (transport) => transport,
): Promise<Setup> {
  const clock = new ManualClock()
  const broker = createMemoryBroker({
    topics: [
      { name: 'requests', partitions: 3 },
      { name: 'other_requests', partitions: 1 },
      { name: 'replies', partitions: 4 },
      { name: 'other_replies', partitions: 4 },
    ],
  })
  const late: LateReply[] = []
  const transport = broker.connect()
  const far = broker.connect()
  const replier = await answering(far, 'requests', respond)
  const requester = await createRequester({
    transport: wrap(transport),
    replyRouting: replyPartition({ topic: 'replies', partition: 2 }),
    clock,
    onLateReply: (reply) => void late.push(reply),
    drainTimeout: 0,
    ...options,
  })
  opened.push(far, transport, replier, requester)
  return { requester, replier, clock, late, broker }
}

/** A transport that is this one but for the methods given. */
export function altered(transport: Transport, methods: Partial<Transport>): Transport {
  return new Proxy(transport, {
    get(target, name: keyof Transport) {
      const method: unknown = methods[name] ?? target[name]
      return typeof method === 'function' ? (method.bind(target) as unknown) : method
    },
  })
}

/** A routing whose state a test decides. */
export class StagedRouting implements ReplyRouting {
  readonly name = 'staged'
  readonly address: ReplyAddress
  context: RoutingContext | undefined
  troubles: readonly Trouble[] = []
  positions: readonly RecordPosition[] = []
  caughtUp: () => Promise<void> = () => Promise.resolve()
  closed = false
  readonly correlationPrefix: Buffer | undefined

  constructor(topic = 'replies', correlationPrefix?: Buffer) {
    this.address = { topic, partition: 2 }
    this.correlationPrefix = correlationPrefix
  }

  topicOf(): string {
    return this.address.topic
  }

  tell(...troubles: readonly Trouble[]): void {
    this.troubles = troubles
    this.context!.onTrouble(troubles)
  }

  async open(context: RoutingContext): Promise<OpenReplyRouting> {
    this.context = context
    const tail = await context.transport.tail({
      topic: this.address.topic,
      partitions: [2],
      from: 'latest',
      onRecords: (records) => context.receive(records),
    })
    return {
      address: () => this.address,
      troubles: () => this.troubles,
      positions: () => this.positions,
      caughtUp: () => this.caughtUp(),
      correlationPrefix: this.correlationPrefix,
      close: () => {
        this.closed = true
        return tail.close()
      },
    }
  }
}

/** What the requester warns of, from now on until the test ends. */
export function warningsSeen(): WarningStep[] {
  return seenOn<WarningStep>('milena:warning')
}

/** What is published on a channel, from now on until the test ends. */
export function seenOn<Message>(name: string): Message[] {
  const seen: Message[] = []
  const listen = (message: unknown): void => void seen.push(message as Message)
  subscribe(name, listen)
  opened.push({ close: async () => void unsubscribe(name, listen) })
  return seen
}

/** Outcomes beside the counters: each accepted request has one of the seven. */
export function assertAccounted(requester: Requester): void {
  const { accepted, pending, replied, partial, remoteErrors, timedOut, cancelled, failed, abandoned } =
    requester.stats()
  assert.equal(
    replied + partial + remoteErrors + timedOut + cancelled + failed + abandoned + pending,
    accepted,
  )
}

/** Says whether an error has this code, and these facts. */
export function code(expected: string, facts: Partial<MilenaError> = {}): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof MilenaError, String(error))
    assert.equal(error.code, expected, error.message)
    for (const [name, value] of Object.entries(facts))
      assert.equal(error[name as keyof MilenaError], value, name)
    return true
  }
}

export async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 60_000
  while (!condition()) {
    assert.ok(performance.now() < end, 'the condition never came true')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
