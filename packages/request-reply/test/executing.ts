/**
 * The replier's execution without its handling: the test itself says what the outcome of each try is. The broker is in
 * memory and takes a millisecond; the replier's clock stands still until the test advances it.
 */
import type { TestContext } from 'node:test'
import { GroupWork } from '../src/replier/group-work.ts'
import { Answers } from '../src/replier/answer.ts'
import { readReplierOptions, type ReplierOptions } from '../src/replier/options.ts'
import type { Outcome } from '../src/replier/outcome.ts'
import type { Handled, RequestRun } from '../src/replier/run.ts'
import { ReplierCounters } from '../src/replier/stats.ts'
import { Warnings } from '../src/warnings.ts'
import { createMemoryBroker, type MemoryBroker } from '../src/transport/memory/broker.ts'
import type { GroupOptions, Transport } from '../src/transport/transport.ts'
import { springProfile } from '../src/wire/spring.ts'
import { ManualClock } from './manual-clock.ts'
import type { Warned } from './replying.ts'

export interface Executing {
  readonly broker: MemoryBroker
  readonly clock: ManualClock
  readonly group: GroupWork
  readonly counters: ReplierCounters
  readonly warned: Warned[]
  /** The tries, as `value#attempt`. */
  readonly tries: string[]
  /** What the group was joined with. */
  readonly joined: () => GroupOptions
  readonly ask: (value: string, key?: string | null, partition?: number) => Promise<void>
  readonly committed: (partition?: number) => number
  readonly replies: () => string[]
}

/** What a try ends with: an outcome, or a promise of it. */
export type Script = (value: string, run: RequestRun) => Outcome | Promise<Outcome>

export const replied = (value: string): Outcome => ({ kind: 'reply', value: Buffer.from(value), headers: [] })

export async function execute(
  t: TestContext,
  script: Script,
  options: Partial<ReplierOptions> & {
    readonly partitions?: number
    readonly broker?: MemoryBroker
    /** What stands between the replier and the broker. */
    readonly through?: (transport: Transport) => Transport
  } = {},
): Promise<Executing> {
  const { partitions = 1, through = (transport) => transport, ...rest } = options
  const broker =
    options.broker ??
    createMemoryBroker({
      topics: [
        { name: 'shop_request', partitions },
        { name: 'shop_reply', partitions: 2 },
      ],
    })
  const { broker: _, ...given } = rest
  const clock = new ManualClock()
  const asking = broker.connect()
  const connection = through(broker.connect())
  const warned: Warned[] = []
  const logger = {
    warn: (message: string, details: Readonly<Record<string, unknown>>, error?: unknown): void =>
      void warned.push({ message, details, error }),
  }
  let joined: GroupOptions | undefined
  const transport = new Proxy(connection, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name)
      if (typeof method !== 'function') return method
      if (name !== 'join') return method.bind(target)
      return (how: GroupOptions) => target.join((joined = how))
    },
  })
  const settings = readReplierOptions({
    transport,
    groupId: 'shop',
    commitInterval: 0,
    clock,
    logger,
    ...given,
  })
  const counters = new ReplierCounters()
  const tries: string[] = []
  const handler = {
    handle(run: RequestRun): Handled {
      const { record, attempt } = run
      const value = String(record.value)
      tries.push(`${value}#${attempt}`)
      const asked = springProfile.readReplyRequest(record.headers)
      const to =
        typeof asked !== 'object' || asked.address === undefined
          ? undefined
          : {
              record,
              correlationId: asked.correlationId,
              address: asked.address,
              context: undefined,
            }
      return { outcome: script(value, run), to, handling: undefined }
    },
  }
  const group = new GroupWork({
    settings,
    topics: ['shop_request'],
    transport,
    handler,
    answers: new Answers(settings),
    counters,
    warnings: new Warnings({ who: 'test', always: {}, logger, clock }),
  })
  await group.join()
  t.after(async () => {
    const leaving = group.leave(0)
    await clock.advance(10_000)
    await leaving
    await connection.close()
    await asking.close()
  })
  let asked = 0
  return {
    broker,
    clock,
    group,
    counters,
    warned,
    tries,
    joined: () => joined!,
    ask: async (value, key = null, partition = 0) => {
      await asking.send({
        topic: 'shop_request',
        partition,
        key: key === null ? null : Buffer.from(key),
        value: Buffer.from(value),
        headers: value.startsWith('one-way')
          ? []
          : [
              springProfile.correlationHeader(Buffer.from(String(++asked).padStart(16, '0'))),
              ...springProfile.addressHeaders({ topic: 'shop_reply', partition: 0 }),
            ],
      })
    },
    committed: (partition = 0) =>
      broker.committed('shop').find((note) => note.topic === 'shop_request' && note.partition === partition)
        ?.offset ?? 0,
    replies: () => broker.records('shop_reply').map(({ value }) => String(value)),
  }
}
