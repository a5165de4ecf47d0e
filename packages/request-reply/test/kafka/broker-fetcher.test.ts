import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BrokerPool } from '../../src/transport/kafka/cluster/connections.ts'
import type { FetchAnswer } from '../../src/transport/kafka/reading/fetch-api.ts'
import {
  BrokerFetcher,
  type FetchOwner,
  type ReadPartition,
} from '../../src/transport/kafka/reading/broker-fetcher.ts'
import { until } from './until.ts'

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
