import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { PassingMap } from '../src/passing-map.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as (options?: { readonly type: 'minor' }) => void

test('it holds what was set and not deleted, in order, however often it moves', () => {
  const map = new PassingMap<string, number>()
  const plain = new Map<string, number>()
  for (let i = 0; i < 20_000; i++) {
    map.set(`k${i}`, i)
    plain.set(`k${i}`, i)
    const gone = `k${i - 1 - (i % 700)}`
    assert.equal(map.delete(gone), plain.delete(gone))
    if (i % 997 === 0) assert.deepEqual([...map.values()], [...plain.values()])
  }
  assert.equal(map.size, plain.size)
  for (const [key, value] of plain) assert.equal(map.get(key), value)
  assert.equal(map.get('k-1'), undefined)
})

test('an entry that is set again keeps its place and has the new value', () => {
  const map = new PassingMap<string, number>()
  map.set('a', 1)
  map.set('b', 2)
  map.set('a', 3)
  assert.deepEqual([...map.values()], [3, 2])
})

test('what passed through is not kept after a full collection', () => {
  const map = new PassingMap<number, { readonly body: readonly number[] }>()
  let next = 0
  const pass = (count: number): void => {
    for (const end = next + count; next < end; next++) {
      map.set(next, { body: Array.from({ length: 50 }, () => next) })
      map.delete(next - 256)
    }
  }
  pass(1_000)
  collect() // what the map stands on now becomes old
  const before = oldBytes()
  for (let i = 0; i < 5; i++) {
    pass(20_000)
    collect({ type: 'minor' })
    collect({ type: 'minor' })
  }
  // 100,000 entries of over 400 bytes went through; what may have grown old is the 256 that were there each time.
  assert.ok(oldBytes() - before < 4_000_000, `${oldBytes() - before} bytes have grown old`)
})

function oldBytes(): number {
  const spaces = getHeapSpaceStatistics()
  return spaces.find(({ space_name: name }) => name === 'old_space')!.space_used_size
}
