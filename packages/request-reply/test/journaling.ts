/** A requester with a journal, a replier and a broker in memory. */
import { bytes, defineOperation, type Recovered } from '@milena/request-reply'
import { createMemoryJournal, type MemoryJournal } from '../src/journal/memory-journal.ts'
import type { RequesterJournalOptions } from '../src/requester/journal-options.ts'
import type { RequesterOptions } from '../src/requester/options.ts'
import { createRequester, type Requester } from '../src/requester/requester.ts'
import { replyPartition } from '../src/routing/reply-partition.ts'
import { type Answering, answering } from '../src/testing/answering.ts'
import { createMemoryBroker, type MemoryBroker } from '../src/transport/memory/broker.ts'
import type { MemoryTransport } from '../src/transport/memory/transport.ts'
import { echo, opened } from './requesting.ts'

export const other = defineOperation({ name: 'other', topic: 'requests', request: bytes(), reply: bytes() })

export interface World {
  readonly broker: MemoryBroker
  readonly store: MemoryJournal
  readonly far: Answering
  /** Starts the process `gw-1`. */
  readonly start: (
    options?: Partial<RequesterOptions>,
    journal?: Partial<RequesterJournalOptions>,
  ) => Promise<Started>
}

export interface Started {
  readonly requester: Requester
  readonly transport: MemoryTransport
  readonly recovered: Recovered[]
  /** As kill -9. */
  kill(): void
}

/** @param respond whether a request is answered at once, with what it asked; else `far.answer` does it */
export async function world(respond: (value: string) => boolean = () => true): Promise<World> {
  const broker = createMemoryBroker({
    topics: [
      { name: 'requests', partitions: 3 },
      { name: 'replies', partitions: 4 },
    ],
  })
  const store = createMemoryJournal()
  const connection = broker.connect()
  const far = await answering(connection, 'requests', ({ value }) =>
    respond(String(value)) ? { value } : undefined,
  )
  opened.push(connection, far)
  return {
    broker,
    store,
    far,
    async start(options, journal) {
      const recovered: Recovered[] = []
      const transport = broker.connect()
      opened.push(transport)
      const requester = await createRequester({
        transport,
        instanceId: 'gw-1',
        replyRouting: replyPartition({ topic: 'replies', partition: 2 }),
        drainTimeout: 0,
        journal: {
          store,
          operations: [echo],
          onRecovered: (each) => void recovered.push(each),
          ...journal,
        },
        ...options,
      })
      opened.push(requester)
      return {
        requester,
        transport,
        recovered,
        kill() {
          store.kill('gw-1')
          transport.kill()
        },
      }
    },
  }
}

/** Its outcome, in a word. */
export async function outcomeOf(reply: Promise<{ readonly value: Buffer }>): Promise<string> {
  return reply.then(
    ({ value }) => String(value),
    (error: { readonly code: string }) => error.code,
  )
}
