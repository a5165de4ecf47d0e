/** What is watched: until its end, or until nobody may watch any more. */
import { Watching, type Watched } from '@milena/hosting'
import assert from 'node:assert/strict'
import { test } from 'node:test'

/** 1, 2, 3, …; odd numbers are news. */
function counting(last = Infinity): Watched<number> {
  let number = 0
  return {
    look: () => Promise.resolve(++number),
    isNews: (value) => value % 2 === 1,
    isLast: (value) => value >= last,
  }
}

async function toldBy(values: AsyncIterable<number>): Promise<number[]> {
  const told: number[] = []
  for await (const value of values) told.push(value)
  return told
}

test('a watcher is told of what is new, and of nothing after the last', async () => {
  assert.deepEqual(await toldBy(new Watching(1).watch(counting(6))), [1, 3, 5])
})

test('what is gone ends it', async () => {
  const gone = { ...counting(), look: () => Promise.resolve(undefined) }
  assert.deepEqual(await toldBy(new Watching(1).watch(gone)), [])
})

test('a hundred may watch, and whoever leaves makes room', async () => {
  const watching = new Watching(60_000)
  const all = Array.from({ length: 100 }, () => watching.watch(counting()))
  await Promise.all(all.map((one) => one.next()))
  assert.equal(watching.isFull, true)
  await all[0]!.return(undefined)
  assert.equal(watching.isFull, false)
})

test('closing ends them all, however long the next look is away', async () => {
  const watching = new Watching(60_000)
  const told = toldBy(watching.watch(counting()))
  await new Promise((resolve) => setImmediate(resolve))
  watching.close()
  assert.deepEqual(await told, [1])
})
