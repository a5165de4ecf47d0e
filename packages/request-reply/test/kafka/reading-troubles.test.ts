import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TransportError } from '../../src/errors.ts'
import type { ReadPartition } from '../../src/transport/kafka/reading/broker-fetcher.ts'
import { ReadingTroubles } from '../../src/transport/kafka/reading/reading-troubles.ts'
import type { Trouble } from '../../src/transport/transport.ts'

function open(count: number) {
  const partitions = Array.from(
    { length: count },
    (_, partition) => ({ topic: 't', partition, trouble: undefined }) as ReadPartition,
  )
  const told: string[] = []
  const lists: (readonly Trouble[])[] = []
  const troubles = new ReadingTroubles(
    new Set(partitions),
    (list) => lists.push(list),
    (error) => told.push(error.message),
  )
  return { partitions, told, lists, troubles }
}

const missing = (): Error => new TransportError('MILENA_TOPIC_MISSING', 'missing')
const silent = (partition: number): Error =>
  new TransportError('MILENA_BROKER_UNREACHABLE', `silent ${partition}`)

describe('the troubles of what is read', () => {
  test('that all partitions of a topic share are one, from the first that has it to the last', () => {
    const { partitions, told, lists, troubles } = open(3)
    for (const one of partitions) troubles.begin(one, missing())
    assert.deepEqual([told, lists.length], [['missing'], 1])
    assert.deepEqual(
      troubles.list.map(({ kind, topic, partition }) => [kind, topic, partition]),
      [['topic-missing', 't', undefined]],
    )
    troubles.end(partitions[0]!)
    troubles.end(partitions[1]!)
    assert.equal(troubles.list.length, 1)
    assert.equal(lists.length, 1, 'told when it changes, not before')
    troubles.end(partitions[2]!)
    assert.deepEqual([troubles.list, lists.length], [[], 2])
  })

  test('are the same array, and begin at the same time, as long as nothing changes', () => {
    const { partitions, troubles, lists, told } = open(2)
    troubles.begin(partitions[0]!, silent(0))
    const [list, since] = [troubles.list, troubles.list[0]!.since]
    troubles.begin(partitions[0]!, silent(0))
    assert.equal(troubles.list, list)
    troubles.begin(partitions[1]!, silent(1))
    assert.deepEqual(
      troubles.list.map(({ kind, partition }) => [kind, partition]),
      [
        ['unreachable', 0],
        ['unreachable', 1],
      ],
    )
    assert.equal(troubles.list[0]!.since, since)
    assert.deepEqual([lists.length, told], [2, ['silent 0']], 'each in the list, told once')
  })

  test('of a partition that is read no more are over', () => {
    const { partitions, troubles, lists } = open(1)
    troubles.begin(partitions[0]!, silent(0))
    const set = new Set(partitions)
    const gone = new ReadingTroubles(
      set,
      (list) => lists.push(list),
      () => {},
    )
    gone.begin(partitions[0]!, missing())
    set.clear()
    gone.removed(partitions[0]!)
    assert.deepEqual(gone.list, [])
  })

  test('end with the transport in one that does not end', () => {
    const { partitions, troubles, told } = open(2)
    troubles.begin(partitions[0]!, missing())
    troubles.closed(new TransportError('MILENA_CLOSED', 'closed'))
    troubles.end(partitions[0]!)
    assert.deepEqual(
      troubles.list.map(({ kind }) => kind),
      ['closed'],
    )
    assert.deepEqual(told, ['missing'])
  })
})
