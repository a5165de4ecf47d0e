import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assignPartitions, type Subscription } from '../../src/transport/kafka/group/assignment.ts'
import type { TopicPartition } from '../../src/transport/transport.ts'

const of = (topic: string, ...partitions: number[]): TopicPartition[] =>
  partitions.map((partition) => ({ topic, partition }))
const member = (
  memberId: string,
  owned: TopicPartition[] = [],
  generation = 1,
  topics = ['t'],
): Subscription => ({
  memberId,
  topics,
  owned,
  generation,
})
const keys = (partitions: readonly TopicPartition[] | undefined): string[] =>
  (partitions ?? []).map(({ topic, partition }) => `${topic}/${partition}`).toSorted()

/** Rounds of join and assignment until nothing changes, as a group goes through them; no partition ever has two holders. */
function settle(members: Subscription[], counts: Map<string, number>): Map<string, string[]> {
  let current = members
  for (let round = 0; round < 10; round++) {
    const assigned = assignPartitions(current, counts)
    const all = [...assigned.values()].flatMap(keys)
    assert.equal(new Set(all).size, all.length, 'no partition is given twice')
    for (const one of current) {
      for (const key of keys(assigned.get(one.memberId))) {
        const holder = current.find((other) => keys(other.owned).includes(key))
        assert.ok(
          holder === undefined || holder === one,
          `${key} is not taken from ${holder?.memberId} unasked`,
        )
      }
    }
    const next = current.map((one) => ({
      ...one,
      owned: assigned.get(one.memberId)!,
      generation: one.generation + 1,
    }))
    const same = next.every((one, index) => keys(one.owned).join() === keys(current[index]!.owned).join())
    if (same) return new Map(next.map((one) => [one.memberId, keys(one.owned)]))
    current = next
  }
  return assert.fail('the group never comes to rest')
}

describe('the cooperative-sticky assignment', () => {
  test('shares partitions out evenly, whatever their number and that of members', () => {
    for (let members = 1; members <= 7; members++) {
      for (const partitions of [1, 3, 6, 7, 20]) {
        const list = Array.from({ length: members }, (_, index) => member(`m${index}`))
        const sizes = [...settle(list, new Map([['t', partitions]])).values()].map((held) => held.length)
        assert.equal(
          sizes.reduce((sum, size) => sum + size, 0),
          partitions,
        )
        assert.ok(
          Math.max(...sizes) - Math.min(...sizes) <= 1,
          `${partitions} for ${members}: ${sizes.join()}`,
        )
      }
    }
  })

  test('gives a new member its share although nobody has more than the average rounded up', () => {
    const held = settle(
      [member('a', of('t', 0, 1)), member('b', of('t', 2, 3)), member('c')],
      new Map([['t', 4]]),
    )
    assert.ok(held.get('c')!.length === 1, JSON.stringify([...held]))
  })

  test('moves only what must move', () => {
    const held = settle(
      [member('a', of('t', 0, 1, 2)), member('b', of('t', 3, 4, 5)), member('c')],
      new Map([['t', 6]]),
    )
    const kept = [...held.get('a')!, ...held.get('b')!]
    assert.deepEqual([kept.length, held.get('c')!.length], [4, 2])
    assert.ok(held.get('a')!.every((key) => keys(of('t', 0, 1, 2)).includes(key)))
    assert.ok(held.get('b')!.every((key) => keys(of('t', 3, 4, 5)).includes(key)))
  })

  test('gives nobody a topic that it did not ask for, and leaves out partitions that are gone', () => {
    const members = [
      member('a', of('gone', 0), 1, ['t', 'gone']),
      member('b', [], 1, ['t', 'u']),
      member('c', of('u', 5), 1, ['u']),
    ]
    const held = settle(
      members,
      new Map([
        ['t', 2],
        ['u', 4],
        ['gone', 0],
      ]),
    )
    assert.deepEqual([...held.values()].flat().toSorted(), ['t/0', 't/1', 'u/0', 'u/1', 'u/2', 'u/3'])
    assert.ok(held.get('a')!.every((key) => key.startsWith('t/')))
    assert.ok(held.get('c')!.every((key) => key.startsWith('u/')))
  })

  test('keeps what a member holds that missed an answer, and believes the later of two that claim the same', () => {
    const late = assignPartitions([member('a', of('t', 0, 1), 4), member('b', [], 5)], new Map([['t', 2]]))
    assert.deepEqual(keys(late.get('b')), [], 'b waits until a has let go')
    const both = assignPartitions(
      [member('a', of('t', 0), 4), member('b', of('t', 0), 5)],
      new Map([['t', 1]]),
    )
    assert.deepEqual([keys(both.get('a')), keys(both.get('b'))], [[], ['t/0']])
  })

  test('comes to rest after any comings and goings', () => {
    let seed = 7
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below
    let held = new Map<string, string[]>()
    for (let step = 0; step < 200; step++) {
      const counts = new Map([
        ['t', 1 + random(12)],
        ['u', random(5)],
      ])
      const names = [...held.keys()].filter(() => random(4) > 0)
      for (let add = random(3); add > 0; add--) names.push(`m${step}-${add}`)
      if (names.length === 0) names.push(`m${step}`)
      const members = names.map((name) => {
        const owned = (held.get(name) ?? []).map((key) => ({
          topic: key[0]!,
          partition: Number(key.slice(2)),
        }))
        return member(name, owned, 1, ['t', 'u'])
      })
      held = settle(members, counts)
      const sizes = [...held.values()].map((list) => list.length)
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, `step ${step}: ${sizes.join()}`)
    }
  })
})
