import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hasNews, mergeTopic, type TopicState } from '../../src/transport/kafka/cluster/topic-state.ts'
import { kafka } from '../../src/transport/kafka/protocol/error-codes.ts'
import type { TopicMetadata } from '../../src/transport/kafka/protocol/metadata.ts'

/** Of each partition, who leads it in which term. */
const told = (leaders: readonly (readonly [number, number])[], id = 'first'): TopicMetadata => ({
  errorCode: kafka.none,
  name: 't',
  id,
  partitions: leaders.map(([leader, epoch], partition) => ({ partition, leader, epoch })),
})
const absent: TopicMetadata = {
  errorCode: kafka.unknownTopicOrPartition,
  name: 't',
  id: '',
  partitions: [],
}
const leaders = (state: TopicState): number[] => state.partitions.map(({ leader }) => leader)

describe('what is known of a topic', () => {
  test('is not taken back by a broker that lags behind: of two terms of a partition the higher one holds', () => {
    const known = mergeTopic(
      't',
      undefined,
      told([
        [1, 5],
        [2, 5],
      ]),
      0,
    )
    const after = mergeTopic(
      't',
      known,
      told([
        [3, 4],
        [3, 6],
      ]),
      1,
    )
    assert.deepEqual(leaders(after), [1, 3])
    assert.deepEqual(
      after.partitions.map(({ epoch }) => epoch),
      [5, 6],
    )
    const none = mergeTopic(
      't',
      after,
      told([
        [-1, 5],
        [-1, 5],
      ]),
      2,
    )
    assert.deepEqual(leaders(none), [-1, 3], 'in the same term the later answer holds')
  })

  test('begins anew with a topic that was made anew, whatever its terms', () => {
    const known = mergeTopic('t', undefined, told([[1, 5]]), 0)
    assert.deepEqual(leaders(mergeTopic('t', known, told([[2, 0]], 'second'), 1)), [2])
  })

  test('keeps partitions that a broker does not know yet: a topic loses none', () => {
    const known = mergeTopic(
      't',
      undefined,
      told([
        [1, 5],
        [2, 0],
      ]),
      0,
    )
    assert.deepEqual(leaders(mergeTopic('t', known, told([[1, 5]]), 1)), [1, 2])
  })

  test('holds until enough answers, over enough time, say that there is no such topic', () => {
    const known = mergeTopic('t', undefined, told([[1, 5]]), 0)
    let state = known
    for (const at of [10, 20, 30]) state = mergeTopic('t', state, absent, at)
    assert.deepEqual([leaders(state), state.missing], [[1], false])
    state = mergeTopic('t', state, absent, 311)
    assert.deepEqual([leaders(state), state.missing], [[], true])
    const few = mergeTopic('t', mergeTopic('t', known, absent, 10), absent, 400)
    assert.equal(few.missing, false)
    assert.equal(mergeTopic('t', few, told([[1, 5]]), 410).absent, undefined)
  })

  test('has news when something of it is another than before, or in doubt', () => {
    const known = mergeTopic('t', undefined, told([[1, 5]]), 0)
    const news = (next: TopicMetadata): boolean => hasNews(known, mergeTopic('t', known, next, 1))
    assert.equal(hasNews(undefined, known), true)
    assert.deepEqual(
      [
        told([[1, 5]]),
        told([[2, 4]]),
        told([[1, 6]]),
        told([[2, 6]]),
        told([
          [1, 5],
          [1, 0],
        ]),
        absent,
      ].map(news),
      [false, false, true, true, true, true],
    )
  })
})
