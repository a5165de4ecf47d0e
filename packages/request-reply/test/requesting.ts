/**
 * A requester on a broker in memory with a clock that stands still, and the other side of it. What a test opens is
 * closed after it.
 */
import assert from 'node:assert/strict'
import { afterEach } from 'node:test'
import { defineOperation, type Operation } from '../src/contract/operation.ts'
import { bytes } from '../src/contract/payload.ts'
import { MilenaError } from '../src/errors.ts'
import type { RequesterOptions } from '../src/requester/options.ts'
import type { LateReply } from '../src/requester/reply.ts'
import { createRequester, type Requester } from '../src/requester/requester.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import { createMemoryBroker, type MemoryBroker } from '../src/transport/memory/broker.ts'
import type { Transport } from '../src/transport/transport.ts'
import { answering, type Answering } from './answering.ts'
import { ManualClock } from './manual-clock.ts'

export const echo: Operation<Uint8Array, Buffer, Uint8Array, Buffer> = defineOperation({
  name: 'echo',
  topic: 'requests',
  request: bytes(),
  reply: bytes(),
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
      { name: 'replies', partitions: 4 },
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
