import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LongWork } from '../src/apis/turns.ts'

function* steps(name: string, count: number, told: string[]): Generator<void, string> {
  for (let step = 1; step <= count; step += 1) {
    told.push(`${name}${step}`)
    if (step < count) yield
  }
  return name
}

test('work that ends with its first step is done at once', () => {
  assert.equal(new LongWork('oneByOne').run(steps('a', 1, [])), 'a')
  assert.equal(new LongWork('inRounds').run(steps('a', 1, [])), 'a')
})

test('in rounds each takes a step in turn; one by one the next begins when the one before is done', async () => {
  for (const [order, expected] of [
    ['inRounds', 'a1 b1 a2 b2 a3 b3'],
    ['oneByOne', 'a1 a2 a3 b1 b2 b3'],
  ] as const) {
    const told: string[] = []
    const work = new LongWork(order)
    const done = ['a', 'b'].map(async (name) => work.run(steps(name, 3, told)))
    assert.deepEqual(await Promise.all(done), ['a', 'b'])
    assert.equal(told.join(' '), expected)
  }
})

test('other things of the process go on between two steps', async () => {
  const told: string[] = []
  const work = new LongWork('inRounds')
  const done = ['a', 'b', 'c'].map(async (name) => work.run(steps(name, 2, told)))
  setImmediate(() => told.push('another'))
  await Promise.all(done)
  assert.equal(told.join(' '), 'a1 b1 c1 a2 another b2 c2')
})

test('what fails or is given up is told so, and what waits behind it goes on', async () => {
  const told: string[] = []
  const work = new LongWork('oneByOne')
  const leaving = new AbortController()
  const first = work.run(steps('a', 2, told))
  const given = work.run(steps('b', 2, told), leaving.signal)
  const failing = work.run(
    (function* (): Generator<void, never> {
      yield
      throw new Error('no room')
    })(),
  )
  const last = work.run(steps('c', 1, told))
  leaving.abort(new Error('gone'))
  const outcomes = await Promise.allSettled([first, given, failing, last])
  assert.deepEqual(
    outcomes.map((one) => (one.status === 'fulfilled' ? one.value : String(one.reason))),
    ['a', 'Error: gone', 'Error: no room', 'c'],
  )
  assert.equal(told.join(' '), 'a1 a2 c1')
})
