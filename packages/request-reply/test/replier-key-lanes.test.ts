import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyLanes, Lanes, type Laned } from '../src/replier/key-lanes.ts'

class Item implements Laned<Item> {
  readonly name: string
  readonly lane: string | undefined
  readonly lanes: Lanes<Item>
  behind: Item | undefined
  nextReady: Item | undefined
  wanted = true

  constructor(name: string, lanes: Lanes<Item>) {
    this.name = name
    this.lane = name.startsWith('-') ? undefined : name[0]!
    this.lanes = lanes
  }
}

/** Items are named by their key and a number; `-1` has no key. */
class Bench {
  readonly began: string[] = []
  readonly dropped: string[] = []
  readonly partition = new Lanes<Item>()
  readonly items = new Map<string, Item>()
  readonly turns: KeyLanes<Item>

  constructor(concurrency: number, atOnce = false) {
    this.turns = new KeyLanes<Item>({
      concurrency,
      wanted: (item) => item.wanted,
      begin: (item) => {
        this.began.push(item.name)
        if (atOnce) this.turns.done(item)
      },
      dropped: (item) => this.dropped.push(item.name),
    })
  }

  add(...names: string[]): void {
    for (const name of names) {
      const item = new Item(name, this.partition)
      this.items.set(name, item)
      this.turns.add(item)
    }
    this.turns.look()
  }

  done(name: string): void {
    this.turns.done(this.items.get(name)!)
  }
}

test('records of one key begin one after the other, others at once', () => {
  const bench = new Bench(10)
  bench.add('a1', 'a2', 'b1', 'a3', '-1', '-2')
  assert.deepEqual(bench.began, ['a1', 'b1', '-1', '-2'])
  bench.done('a1')
  assert.deepEqual(bench.began.slice(4), ['a2'])
  bench.done('b1')
  bench.done('a2')
  assert.deepEqual(bench.began.slice(5), ['a3'])
})

test('a slow key does not delay other keys', () => {
  const bench = new Bench(2)
  bench.add('a1', ...Array.from({ length: 50 }, (_, i) => `a${i + 2}`), 'b1', 'c1')
  assert.deepEqual(bench.began, ['a1', 'b1'])
  bench.done('b1')
  assert.deepEqual(bench.began, ['a1', 'b1', 'c1'])
})

test('no more than concurrency run at once', () => {
  const bench = new Bench(3)
  bench.add('-1', '-2', '-3', '-4', '-5')
  assert.equal(bench.turns.running, 3)
  bench.done('-2')
  assert.deepEqual(bench.began, ['-1', '-2', '-3', '-4'])
  assert.equal(bench.turns.running, 3)
})

test('the same key in two partitions is two keys', () => {
  const bench = new Bench(10)
  bench.add('a1')
  const other = new Item('a2', new Lanes())
  bench.turns.add(other)
  bench.turns.look()
  assert.deepEqual(bench.began, ['a1', 'a2'])
})

test('partitions take turns: a backlog in one does not hold up the others', () => {
  const bench = new Bench(1)
  bench.add('-1', '-2', '-3', '-4', '-5')
  for (const partition of [new Lanes<Item>(), new Lanes<Item>()]) {
    bench.turns.add(new Item('-other 1', partition))
    bench.turns.add(new Item('-other 2', partition))
  }
  for (let i = 0; i < 6; i++) bench.done('-1')
  assert.deepEqual(bench.began, ['-1', '-2', '-other 1', '-other 1', '-3', '-other 2', '-other 2'])
})

test('a record that is no longer wanted when its turn comes is dropped, and its key goes on', () => {
  const bench = new Bench(1)
  bench.add('a1', 'a2', 'a3')
  bench.items.get('a2')!.wanted = false
  bench.done('a1')
  assert.deepEqual(bench.dropped, ['a2'])
  assert.deepEqual(bench.began, ['a1', 'a3'])
})

test('nothing is kept of a key whose records are all handled', () => {
  const bench = new Bench(2)
  bench.add('a1', 'a2', 'b1')
  for (const name of ['a1', 'b1', 'a2']) bench.done(name)
  assert.equal(bench.partition.last.size, 0)
  assert.equal(bench.turns.running, 0)
})

test('a hundred thousand records that are done at once do not exhaust the stack', () => {
  const bench = new Bench(1, true)
  bench.add(...Array.from({ length: 100_000 }, (_, i) => `a${i}`))
  assert.equal(bench.began.length, 100_000)
  assert.equal(bench.began.at(-1), 'a99999')
})
