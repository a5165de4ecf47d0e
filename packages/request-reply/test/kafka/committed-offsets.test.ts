/** Offsets of a group without members, at a coordinator whose answers the test gives. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Metadata } from '../../src/transport/kafka/cluster/metadata.ts'
import type { BrokerPool } from '../../src/transport/kafka/connection/connections.ts'
import { CommittedOffsets } from '../../src/transport/kafka/group/committed-offsets.ts'

const UNKNOWN_TOPIC = 3
const at = { topic: 't', partition: 0, offset: 1, metadata: '' }

/** `answer` is called with how many requests came before. */
function offsets(answer: (asked: number) => unknown): {
  readonly store: CommittedOffsets
  asked: () => number
} {
  let asked = 0
  const metadata = {
    askAny: () => Promise.resolve({ errorCode: 0, id: 1, host: 'here', port: 1 }),
  } as unknown as Metadata
  const pool = {
    get: () => Promise.resolve({ ask: () => Promise.resolve(answer(asked++)) }),
  } as unknown as BrokerPool
  return { store: new CommittedOffsets(metadata, pool, new AbortController().signal), asked: () => asked }
}

describe('offsets of a group without members', () => {
  test('of a partition that the coordinator does not know yet are written, and read, all the same', async () => {
    const written = offsets((asked) => [{ ...at, errorCode: asked < 2 ? UNKNOWN_TOPIC : 0 }])
    await written.store.write('g', [at])
    assert.equal(written.asked(), 3)
    const read = offsets((asked) => ({
      errorCode: 0,
      offsets: [{ ...at, errorCode: asked < 2 ? UNKNOWN_TOPIC : 0 }],
    }))
    assert.deepEqual(await read.store.read('g', ['t']), [at])
  })

  test('of a topic that is gone are refused once several answers over a time say so', async () => {
    const { store, asked } = offsets(() => [{ ...at, errorCode: UNKNOWN_TOPIC }])
    const began = performance.now()
    await assert.rejects(store.write('g', [at]), {
      code: 'MILENA_TOPIC_MISSING',
      message: /^commit offsets of group g: the topic does not exist/,
    })
    const took = performance.now() - began
    assert.ok(asked() >= 3 && took >= 290 && took < 5_000, `${asked()} answers in ${took} ms`)
  })
})
