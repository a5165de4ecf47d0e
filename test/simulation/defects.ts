/**
 * Bugs to plant, each with the invariant that it breaks: a checker that does not find its own is worth nothing.
 */
import { remoteCodes, TransportError } from '../../packages/request-reply/src/errors.ts'
import type { ReplyRouting } from '../../packages/request-reply/src/routing/routing.ts'
import type { Transport } from '../../packages/request-reply/src/transport/transport.ts'
import { errorHeaders, readError } from '../../packages/request-reply/src/wire/milena.ts'
import type { Violation } from './checkers.ts'
import { delegate, requestTopic } from './processes.ts'
import { Random } from './random.ts'
import { replyTopic, type Defect } from './simulated.ts'

export interface PlantedDefect {
  readonly name: string
  readonly breaks: Violation['invariant']
  /** Under which routing; default `replyPartition`. */
  readonly routing?: string
  /** Made anew for each run: a defect may count. */
  readonly plant: () => Defect
}

export const defects: readonly PlantedDefect[] = [
  {
    name: 'a requester forgets some of its deadlines',
    breaks: 'I1',
    plant: () => ({
      requesterClock: (clock) => ({
        now: () => clock.now(),
        monotonic: () => clock.monotonic(),
        schedule: (delay, run) => (delay === 100 ? { cancel: () => {} } : clock.schedule(delay, run)),
      }),
    }),
  },
  {
    name: 'a transport says of a record in the log that it was not sent',
    breaks: 'I1',
    plant: () => ({
      wrap: onlyFor('requester', (transport) => {
        const often = everyNth(20)
        return {
          async send(record) {
            const position = await transport.send(record)
            if (often()) throw new TransportError('MILENA_NOT_SENT', 'planted')
            return position
          },
        }
      }),
    }),
  },
  {
    name: 'an application takes a late reply for the outcome',
    breaks: 'I2',
    plant: () => ({
      onLate: (history, id) => history.add({ what: 'outcome', id, code: 'reply', sent: 'yes' }),
    }),
  },
  {
    name: 'requesters draw the same correlation ids',
    breaks: 'I3',
    routing: 'sharedReplyTopic',
    plant: () => ({
      correlationIds: () => {
        const source = new Random('the same for all')
        return (length) => source.bytes(length)
      },
    }),
  },
  {
    name: 'a replier is not asked before its partitions go to another',
    breaks: 'I4',
    plant: () => ({
      wrap: onlyFor('replier', (transport) => ({
        join: (options) =>
          transport.join({
            ...options,
            onRevoked(partitions) {
              options.onLost(partitions)
              return Promise.resolve()
            },
          }),
      })),
    }),
  },
  {
    name: 'a replier does not see the keys of requests',
    breaks: 'I5',
    plant: () => ({
      wrap: onlyFor('replier', (transport) => ({
        join: (options) =>
          transport.join({
            ...options,
            onRecords: (records, after) =>
              options.onRecords(
                records.map((record) => ({ ...record, key: null })),
                after,
              ),
          }),
      })),
    }),
  },
  {
    name: 'requests overtake each other on their way to the log',
    breaks: 'I5',
    plant: () => ({
      wrap: onlyFor('requester', (transport) => {
        const random = new Random('overtaking')
        let waiting: Promise<unknown> = Promise.resolve()
        return {
          async send(record) {
            if (random.chance(0.3)) await waiting
            const sending = transport.send(record)
            waiting = sending.catch(() => {})
            return sending
          },
        }
      }),
    }),
  },
  {
    name: 'the brokers lose an acknowledged request',
    breaks: 'I7',
    plant: () => {
      const often = everyNth(30)
      return { send: (record) => (record.topic === requestTopic && often() ? { fate: 'lost' } : undefined) }
    },
  },
  {
    name: 'the brokers lose an acknowledged reply',
    breaks: 'I7',
    plant: () => {
      const often = everyNth(30)
      return { send: (record) => (record.topic === replyTopic && often() ? { fate: 'lost' } : undefined) }
    },
  },
  {
    name: 'a replier takes a reply that could not be sent for sent',
    breaks: 'I7',
    plant: () => ({
      wrap: onlyFor('replier', (transport) => ({
        send: (record) =>
          transport.send(record).catch(() => ({ topic: record.topic, partition: 0, offset: 1_000_000 })),
      })),
    }),
  },
  {
    name: 'a replier commits requests that it has not handled',
    breaks: 'I7',
    plant: () => ({
      wrap: onlyFor('replier', (transport) => ({
        async join(options) {
          const ends = new Map<number, number>()
          const membership = await transport.join({
            ...options,
            onRecords(records, after) {
              for (const { partition, offset } of records) ends.set(partition, offset + 1)
              options.onRecords(records, after)
            },
          })
          return {
            commit: (offsets) =>
              membership.commit(
                offsets.map((at) => ({ ...at, offset: ends.get(at.partition) ?? at.offset })),
              ),
            pause: (partition) => membership.pause(partition),
            troubles: () => membership.troubles(),
            resume: (partition) => membership.resume(partition),
            close: () => membership.close(),
            [Symbol.asyncDispose]: () => membership.close(),
          }
        },
      })),
    }),
  },
  {
    name: 'a replier commits and does not say what is finished above its offset',
    breaks: 'I10',
    plant: () => ({
      wrap: onlyFor('replier', (transport) => ({
        async join(options) {
          const membership = await transport.join(options)
          return {
            commit: (offsets) => membership.commit(offsets.map((at) => ({ ...at, metadata: '' }))),
            pause: (partition) => membership.pause(partition),
            troubles: () => membership.troubles(),
            resume: (partition) => membership.resume(partition),
            close: () => membership.close(),
            [Symbol.asyncDispose]: () => membership.close(),
          }
        },
      })),
    }),
  },
  {
    name: 'a replier says of a request that it did not begin with that nothing was done',
    breaks: 'I9',
    plant: () => ({
      wrap: onlyFor('replier', (transport) => ({
        send(record) {
          const error = readError(record.headers)
          if (error?.code !== remoteCodes.deadlineExceeded) return transport.send(record)
          // As if an application knew: what the library itself says has no such claim in it, whatever its headers say.
          const claim = errorHeaders({ code: 'EXPIRED', message: 'nothing was done', effect: 'none' })
          return transport.send({ ...record, headers: [...record.headers, ...claim] })
        },
      })),
    }),
  },
  {
    name: 'a replier never resumes a partition that it has paused',
    breaks: 'I8',
    plant: () => ({
      wrap: onlyFor('replier', (transport) => ({
        async join(options) {
          const membership = await transport.join(options)
          return {
            commit: (offsets) => membership.commit(offsets),
            pause: (partition) => membership.pause(partition),
            troubles: () => membership.troubles(),
            resume: () => {},
            close: () => membership.close(),
            [Symbol.asyncDispose]: () => membership.close(),
          }
        },
      })),
    }),
  },
  {
    name: 'a requester goes deaf after some replies',
    breaks: 'I8',
    plant: () => ({
      wrap: onlyFor('requester', (transport) => ({
        tail(options) {
          let read = 0
          return transport.tail({
            ...options,
            onRecords(records) {
              if (++read < 5) options.onRecords(records)
            },
          })
        },
      })),
    }),
  },
  {
    name: 'requesters read their replies as one consumer group',
    breaks: 'I8',
    plant: () => ({ replyRouting: () => sameGroup }),
  },
  {
    name: 'a group member does not end when it is closed',
    breaks: 'I8',
    plant: () => ({
      wrap: onlyFor('replier', (transport) => ({
        async join(options) {
          const membership = await transport.join(options)
          return {
            commit: (offsets) => membership.commit(offsets),
            pause: (partition) => membership.pause(partition),
            troubles: () => membership.troubles(),
            resume: (partition) => membership.resume(partition),
            close: () => new Promise<void>(() => {}),
            [Symbol.asyncDispose]: () => membership.close(),
          }
        },
      })),
    }),
  },
]

/** What many do at first: every reply goes to one of the instances, seldom to the one that asked. */
const sameGroup: ReplyRouting = {
  name: 'sameGroup',
  async open(context) {
    const membership = await context.transport.join({
      groupId: 'replies',
      topics: [replyTopic],
      from: 'latest',
      onRecords: (records) => context.receive(records),
      onRevoked: () => Promise.resolve(),
      onLost: () => {},
    })
    return { address: () => ({ topic: replyTopic }), close: () => membership.close() }
  },
}

function onlyFor(
  role: 'requester' | 'replier',
  changes: (transport: Transport) => Partial<Transport>,
): NonNullable<Defect['wrap']> {
  return (transport, of) => (of === role ? delegate(transport, changes(transport)) : transport)
}

function everyNth(n: number): () => boolean {
  let count = 0
  return () => ++count % n === 0
}
