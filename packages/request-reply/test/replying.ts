/**
 * What every test of the replier needs: a broker in memory with a request and a reply topic, repliers whose warnings
 * are kept, and somebody who asks. Everything is closed when the test ends.
 */
import type { TestContext } from 'node:test'
import { z } from 'zod'
import { string } from '../src/contract/payload.ts'
import { defineOperation } from '../src/contract/operation.ts'
import type { ReplierOptions } from '../src/replier/options.ts'
import { createReplier, type Replier } from '../src/replier/replier.ts'
import type { MemoryTransportOptions, MemoryTransport } from '../src/transport/memory/transport.ts'
import { createMemoryBroker, type MemoryBroker } from '../src/transport/memory/broker.ts'
import { Asking } from './asking.ts'
import { ManualClock } from './manual-clock.ts'

/** Answers with text what is asked in JSON. */
export const echo = defineOperation({
  name: 'echo',
  topic: 'shop_request',
  request: {
    '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value: String(value) }) },
  },
  reply: string(),
})

export const approve = defineOperation({
  name: 'payment.approve',
  topic: 'shop_request',
  request: z.object({ orderId: z.string(), amount: z.number().default(5) }),
  reply: z.object({ approvalId: z.string() }),
})

export interface Warned {
  readonly message: string
  readonly details: Readonly<Record<string, unknown>>
  readonly error: unknown
}

export interface Bench {
  readonly broker: MemoryBroker
  readonly asking: Asking
  /** All that repliers have warned of. */
  readonly warned: Warned[]
  readonly connect: (options?: MemoryTransportOptions) => MemoryTransport
  /** A replier in a process of its own. */
  readonly replier: (options?: Partial<ReplierOptions> & { readonly connection?: MemoryTransport }) => Replier
  /** The offset that the group has committed in a partition of the request topic; 0 when it has none. */
  readonly committed: (partition?: number) => number
}

export async function setUp(t: TestContext, partitions = 1): Promise<Bench> {
  const broker = createMemoryBroker({
    topics: [
      { name: 'shop_request', partitions },
      { name: 'shop_reply', partitions: 2 },
    ],
  })
  const closing: (() => Promise<void>)[] = []
  const connect = (options?: MemoryTransportOptions): MemoryTransport => {
    const transport = broker.connect(options)
    closing.unshift(() => transport.close())
    return transport
  }
  t.after(async () => {
    for (const close of closing) await close()
  })
  const asking = await new Asking(connect(), 'shop_request', 'shop_reply').open()
  const warned: Warned[] = []
  return {
    broker,
    asking,
    warned,
    connect,
    replier({ connection, ...options } = {}) {
      const replier = createReplier({
        transport: connection ?? connect(),
        groupId: 'shop',
        commitInterval: 1,
        logger: { warn: (message, details, error) => void warned.push({ message, details, error }) },
        ...options,
      })
      closing.unshift(async () => {
        const closed = replier.close({ timeout: 0 })
        if (options.clock instanceof ManualClock) await options.clock.advance(10_000)
        await closed
      })
      return replier
    },
    committed: (partition = 0) =>
      broker.committed('shop').find((note) => note.topic === 'shop_request' && note.partition === partition)
        ?.offset ?? 0,
  }
}
