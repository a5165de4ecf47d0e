import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { BrokerPool } from '../../src/transport/kafka/connection/connections.ts'
import { NO_TOPIC_ID } from '../../src/transport/kafka/protocol/primitive-types.ts'
import {
  fetchApi,
  fetchByNameApi,
  type FetchAnswer,
  type FetchRequest,
} from '../../src/transport/kafka/reading/fetch-api.ts'
import {
  BrokerFetcher,
  type FetchOwner,
  type ReadPartition,
} from '../../src/transport/kafka/reading/broker-fetcher.ts'
import { until } from './until.ts'

interface Sent {
  readonly api: unknown
  readonly order: readonly number[]
  answer(...partitions: readonly number[]): void
}

/** A loop on broker 1 that leads these partitions, and the fetches that it sends. */
function open(topicIds: readonly string[]) {
  const partitions = topicIds.map(
    (topicId, partition) => ({ topic: 't', topicId, partition, position: 0 }) as ReadPartition,
  )
  const taken: number[] = []
  const sent: Sent[] = []
  const owner = {
    metadata: { nodes: new Map([[1, { id: 1 }]]), absolve() {} },
    maxBatchMemory: 65_536,
    wanted: () => partitions.filter(({ flight }) => flight === undefined),
    take: ({ partition }: ReadPartition) => taken.push(partition),
    failed() {},
  } as unknown as FetchOwner
  const connection = {
    send(api: unknown, request: FetchRequest, done: (error: null, answer: FetchAnswer) => void) {
      const byId = api === fetchApi
      sent.push({
        api,
        order: request.targets.map(({ partition }) => partition),
        answer: (...answered) =>
          done(null, {
            errorCode: 0,
            byId,
            partitions: answered.map((partition) => ({
              topic: byId ? topicIds[partition]! : 't',
              partition,
              errorCode: 0,
              highWatermark: 0,
              lastStable: 0,
              aborted: undefined,
              records: undefined,
            })),
          }),
      })
    },
  }
  const pool = { peek: () => connection } as unknown as BrokerPool
  const loop = new BrokerFetcher(owner, 1, pool, pool)
  loop.wake()
  return { partitions, taken, sent, [Symbol.dispose]: () => loop.stop() }
}

describe('a fetch', () => {
  test('has each partition first in its turn: a broker fills its answer in the order of the request', async () => {
    using fetching = open(['id', 'id', 'id'])
    for (let turn = 0; turn < 4; turn++) {
      await until('the next fetch', () => fetching.sent.length > turn)
      fetching.sent[turn]!.answer(0, 1, 2)
    }
    assert.deepEqual(
      fetching.sent.slice(0, 4).map(({ order }) => order[0]),
      [0, 1, 2, 0],
    )
  })

  test('says nothing of a partition that was taken from it: its broker hung, and leads it no more', () => {
    using fetching = open(['id', 'id'])
    fetching.partitions[1]!.flight = undefined
    fetching.sent[0]!.answer(0, 1)
    assert.deepEqual(fetching.taken, [0])
  })

  test('names its topics while one of them has no id yet, as in a cluster that is being upgraded', async () => {
    using fetching = open(['id', NO_TOPIC_ID])
    assert.equal(fetching.sent[0]!.api, fetchByNameApi)
    fetching.sent[0]!.answer(0, 1)
    assert.deepEqual(fetching.taken, [0, 1])
    fetching.partitions[1]!.topicId = 'id'
    await until('the next fetch', () => fetching.sent.length === 2)
    assert.equal(fetching.sent[1]!.api, fetchApi)
  })
})

test('what records set going in promises comes before the next fetch', async () => {
  const events: string[] = []
  const partition = { topic: 't', topicId: 'id', partition: 0, position: 0 } as ReadPartition
  const owner = {
    metadata: { nodes: new Map([[1, { id: 1 }]]), absolve() {} },
    maxBatchMemory: 65_536,
    wanted: () => (partition.flight === undefined ? [partition] : []),
    take() {
      events.push('records')
      // As a handler and the transport's send after it: some promises later, a reply is written.
      void Promise.resolve()
        .then(() => undefined)
        .then(() => events.push('reply'))
    },
    failed() {},
  } as unknown as FetchOwner
  let answered: ((error: null, answer: FetchAnswer) => void) | undefined
  const connection = {
    send(_api: unknown, _request: unknown, done: NonNullable<typeof answered>) {
      events.push('fetch')
      answered = done
    },
  }
  const pool = { peek: () => connection } as unknown as BrokerPool
  const loop = new BrokerFetcher(owner, 1, pool, pool)
  loop.wake()
  const ends = { highWatermark: 0, lastStable: 0 }
  const part = { topic: 'id', partition: 0, errorCode: 0, ...ends, aborted: undefined, records: undefined }
  answered!(null, { errorCode: 0, byId: true, partitions: [part] })
  await until('the next fetch', () => events.length === 4)
  loop.stop()
  assert.deepEqual(events, ['fetch', 'records', 'reply', 'fetch'])
})
