import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OffsetTracker, type Tracked } from '../src/replier/offset-tracker.ts'

class Item implements Tracked<Item> {
  readonly offset: number
  readonly next: number
  index = -1
  before: Item | undefined
  following: Item | undefined

  constructor(offset: number, next = offset + 1) {
    this.offset = offset
    this.next = next
  }
}

function track(...offsets: number[]): { tracker: OffsetTracker<Item>; items: Item[] } {
  const tracker = new OffsetTracker<Item>()
  const items = offsets.map((offset) => new Item(offset))
  for (const item of items) tracker.add(item)
  return { tracker, items }
}

test('there is nothing to commit before the first record', () => {
  assert.equal(new OffsetTracker<Item>().next, undefined)
})

test('a record that was read and is not finished is the next', () => {
  assert.equal(track(7, 8).tracker.next, 7)
})

test('a commit never passes the lowest unfinished record', () => {
  const { tracker, items } = track(4, 5, 6, 7)
  assert.equal(tracker.finish(items[0]!), true)
  assert.equal(tracker.finish(items[2]!), false)
  assert.equal(tracker.finish(items[3]!), false)
  assert.equal(tracker.next, 5)
  assert.equal(tracker.passed, 1)
})

test('when the gap is filled, everything behind it counts', () => {
  const { tracker, items } = track(4, 5, 6)
  tracker.finish(items[2]!)
  tracker.finish(items[1]!)
  assert.equal(tracker.finish(items[0]!), true)
  assert.equal(tracker.next, 7)
  assert.equal(tracker.passed, 3)
})

test('offsets that the log skips do not hold up the commit', () => {
  const { tracker, items } = track(4, 9, 20)
  tracker.finish(items[0]!)
  assert.equal(tracker.next, 9)
  tracker.finish(items[1]!)
  tracker.finish(items[2]!)
  assert.equal(tracker.next, 21)
})

test('records that come after all was finished are waited for again', () => {
  const { tracker, items } = track(0)
  tracker.finish(items[0]!)
  const later = new Item(5)
  tracker.add(later)
  assert.equal(tracker.next, 5)
  tracker.finish(later)
  assert.equal(tracker.next, 6)
})

test('whatever the order of finishing, next is the lowest unfinished offset', () => {
  let seed = 7
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff
    return seed % below
  }
  const tracker = new OffsetTracker<Item>()
  const open: Item[] = []
  let offset = 0
  let last = -1
  for (let step = 0; step < 5_000; step++) {
    if (open.length === 0 || (open.length < 50 && random(2) === 0)) {
      offset += 1 + random(3)
      const item = new Item(offset)
      tracker.add(item)
      open.push(item)
      last = offset
    } else {
      tracker.finish(open.splice(random(open.length), 1)[0]!)
      const lowest = Math.min(...open.map((item) => item.offset))
      // Between two records that were read, any offset in the gap means the same; the tracker names the record.
      assert.equal(tracker.next, open.length === 0 ? last + 1 : lowest)
    }
  }
})

test('nothing is kept of a finished record, though a lower one is never finished', () => {
  const { items, tracker } = track(4, 5, 6, 7)
  tracker.finish(items[1]!)
  tracker.finish(items[2]!)
  assert.equal(tracker.first, items[0])
  assert.equal(items[0]!.following, items[3])
  assert.equal(items[3]!.before, items[0])
  for (const finished of [items[1]!, items[2]!]) {
    assert.equal(finished.before, undefined)
    assert.equal(finished.following, undefined)
  }
})

test('how far reading is ahead of the lowest unfinished record counts the finished ones too', () => {
  const { items, tracker } = track(4, 5, 9)
  assert.equal(tracker.ahead, 3)
  tracker.finish(items[2]!)
  tracker.finish(items[1]!)
  assert.equal(tracker.ahead, 3)
  tracker.finish(items[0]!)
  assert.equal(tracker.ahead, 0)
})

test('behind a stretch that could not be read the commit goes on where it ends', () => {
  const tracker = new OffsetTracker<Item>()
  const stretch = new Item(4, 90)
  tracker.add(stretch)
  assert.equal(tracker.next, 4)
  tracker.finish(stretch)
  assert.equal(tracker.next, 90)
})
