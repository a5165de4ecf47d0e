import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { FetchedPartition } from '../../src/transport/kafka/reading/fetch-api.ts'
import type { ReadPartition } from '../../src/transport/kafka/reading/broker-fetcher.ts'
import { LogEnds } from '../../src/transport/kafka/reading/log-ends.ts'
import { kafka } from '../../src/transport/kafka/protocol/error-codes.ts'
import type { ListOffsetsRequest } from '../../src/transport/kafka/protocol/list-offsets.ts'
import type { OffsetsSource } from '../../src/transport/kafka/reading/offsets.ts'

const source = { signal: new AbortController().signal } as OffsetsSource

/** What is known of the end after a fetch that was sent at 5 has been answered. */
function known(one: Partial<ReadPartition>, answer: Partial<FetchedPartition> = {}): [number, number] {
  const partition = {
    position: 10,
    epoch: 2,
    certainTerm: 2,
    knownEnd: Infinity,
    knownEndAt: 0,
    ...one,
  } as ReadPartition
  const ends = new LogEnds(source, new Set([partition]), () => undefined)
  ends.answered(partition, { highWatermark: 10, lastStable: 10, ...answer } as FetchedPartition, 5)
  return [partition.knownEnd, partition.knownEndAt]
}

describe('what stands behind the end that a fetch names was appended after it was sent', () => {
  test('also while there is more to be read before it, and behind an open transaction', () => {
    assert.deepEqual(known({}), [10, 5])
    assert.deepEqual(known({ position: 7 }), [10, 5])
    assert.deepEqual(known({ position: 7 }, { lastStable: 7 }), [10, 5])
    assert.deepEqual(known({ knownEnd: 8, knownEndAt: 3 }), [10, 5])
  })

  test('not when the leader has not said in this term where the log ends', () => {
    assert.deepEqual(known({ certainTerm: undefined }), [Infinity, 0])
    assert.deepEqual(known({ certainTerm: 1, knownEnd: 8, knownEndAt: 3 }), [8, 3])
  })
})

/** Of a leader in term 2 that says of every log that it ends at 10, and refuses whoever asks for another term. */
function answering(): OffsetsSource {
  const connection = {
    ask: (_api: unknown, { partitions }: ListOffsetsRequest) =>
      Promise.resolve(
        partitions.map((one) => ({ ...one, errorCode: one.epoch === 2 ? kafka.none : 74, offset: 10 })),
      ),
  }
  return {
    metadata: { leader: () => ({ node: { id: 1 }, epoch: 2 }), absolve: () => undefined },
    pool: { get: () => Promise.resolve(connection) },
    signal: new AbortController().signal,
  } as unknown as OffsetsSource
}

/** A partition that waits for its end, once that is known. */
async function asked(notBefore: number): Promise<ReadPartition> {
  const partition = {
    topic: 't',
    partition: 0,
    leader: 1,
    epoch: 2,
    certainTerm: undefined,
    position: 3,
    awaitsEnd: true,
    notBefore,
    knownEnd: Infinity,
    knownEndAt: 0,
  } as ReadPartition
  const { promise, resolve } = Promise.withResolvers<void>()
  new LogEnds(answering(), new Set([partition]), resolve).changed()
  await promise
  return partition
}

test('an end of a former term, whose leader may have been deposed without knowing it, counts no more', () => {
  const one = { topic: 't', partition: 0, leader: 1, certainTerm: 1, knownEnd: 8, knownEndAt: 3 }
  const partitions = [1, 2].map((epoch) => ({ ...one, epoch }) as ReadPartition)
  const lost = { ...one, leader: -1, epoch: -1 } as ReadPartition
  new LogEnds(answering(), new Set([...partitions, lost]), () => undefined).changed()
  assert.deepEqual(
    [...partitions, lost].map(({ knownEnd }) => knownEnd),
    [8, Infinity, 8],
  )
})

describe('a partition whose first fetch waits for where its log ends', () => {
  test('is fetched as soon as that is known', async () => {
    const { notBefore, awaitsEnd, knownEnd, certainTerm } = await asked(performance.now() + 1_000)
    assert.deepEqual([notBefore, awaitsEnd, knownEnd, certainTerm], [0, false, 10, 2])
  })

  test('is not fetched where it stands when a new position is looked for by then', async () => {
    const { notBefore, awaitsEnd } = await asked(Infinity)
    assert.deepEqual([notBefore, awaitsEnd], [Infinity, false])
  })
})
