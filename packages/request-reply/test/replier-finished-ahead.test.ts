/** What a commit says of the records above its offset, and what the next owner makes of it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { describeFinished, FinishedAhead, longestMetadata } from '../src/replier/finished-ahead.ts'
import { OffsetTracker, type Tracked } from '../src/replier/offset-tracker.ts'
import type { IncomingRecord, UnreadableRange } from '../src/transport/transport.ts'

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

/** Every record has its own timestamp. */
const timestampOf = ({ offset }: { readonly offset: number }): number => 1_790_000_000_000 + offset

function record(offset: number, timestamp = timestampOf({ offset })): IncomingRecord {
  return { topic: 't', partition: 0, offset, timestamp, key: null, value: null, headers: [], size: 0 }
}

function stretch(offset: number, next: number): UnreadableRange {
  return { topic: 't', partition: 0, offset, next, bytes: 1, reason: '' }
}

/** The records from `from` to before `to` are read; those that `isFinished` are. */
function track(from: number, to: number, isFinished: (offset: number) => boolean): OffsetTracker<Item> {
  const tracker = new OffsetTracker<Item>()
  const items = Array.from({ length: to - from }, (_, i) => new Item(from + i))
  for (const item of items) tracker.add(item)
  for (const item of items) if (isFinished(item.offset)) tracker.finish(item)
  return tracker
}

function metadataOf(tracker: OffsetTracker<Item>, former?: FinishedAhead, longest?: number): string {
  return describeFinished(tracker, former, timestampOf, longest).metadata
}

function read(offset: number, metadata: string): FinishedAhead | undefined {
  return FinishedAhead.read({ topic: 't', partition: 0, offset, metadata })
}

/** The next owner's: those of the offsets that it passes over, read in order. */
function passedOver(ahead: FinishedAhead | undefined, from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i).filter((offset) =>
    ahead?.hasRecord(record(offset)),
  )
}

function drawNumbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) & 0x7fffffff
    return Math.floor((state / 0x80000000) * below)
  }
}

describe('what is finished above the lowest unfinished record', () => {
  test('is a few characters for one that is stuck and a thousand that were answered behind it', () => {
    const tracker = track(500, 1_500, (offset) => offset !== 500)
    const { metadata, covered } = describeFinished(tracker, undefined, timestampOf)
    assert.equal(metadata, 'milena1:0P1v7glij0BBnf')
    assert.equal(covered, 999)
    const ahead = read(500, metadata)
    assert.deepEqual(
      passedOver(ahead, 500, 1_600),
      Array.from({ length: 999 }, (_, i) => 501 + i),
    )
    assert.equal(ahead!.over, true)
  })

  test('is not spoken of where nothing is finished there', () => {
    assert.equal(metadataOf(new OffsetTracker<Item>()), '')
    assert.equal(metadataOf(track(0, 0, () => false)), '')
    assert.equal(metadataOf(track(5, 9, () => false)), '')
    assert.equal(metadataOf(track(5, 9, () => true)), '')
    assert.equal(metadataOf(track(5, 9, (offset) => offset < 7)), '')
  })

  test('does not include what was never read', () => {
    const ahead = read(0, metadataOf(track(0, 4, (offset) => offset !== 0)))
    assert.deepEqual(passedOver(ahead, 0, 10), [1, 2, 3])
  })

  test('is what a naive set says, whatever was finished in whatever order, with gaps and unreadable stretches', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const draw = drawNumbers(seed)
      const tracker = new OffsetTracker<Item>()
      const open: Item[] = []
      const handedOver: Item[] = []
      const finished = new Set<number>()
      let offset = draw(1_000)
      for (let step = 0; step < 200; step++) {
        if (open.length === 0 || draw(100) < 45) {
          offset += draw(4) === 0 ? 1 + draw(5) : 0
          const item = new Item(offset, offset + 1 + (draw(20) === 0 ? draw(50) : 0))
          offset = item.next
          handedOver.push(item)
          if (draw(10) === 0) {
            tracker.pass(item.offset, item.next)
            finished.add(item.offset)
          } else {
            tracker.add(item)
            open.push(item)
          }
        } else {
          const [item] = open.splice(draw(open.length), 1)
          tracker.finish(item!)
          finished.add(item!.offset)
        }
      }
      const { metadata, covered } = describeFinished(tracker, undefined, ({ offset, next }) =>
        next === offset + 1 ? timestampOf({ offset }) : undefined,
      )
      const next = tracker.next!
      const ahead = read(next, metadata)
      const passed = handedOver
        .filter((item) => item.offset >= next)
        .filter((item) =>
          item.next === item.offset + 1
            ? ahead?.hasRecord(record(item.offset))
            : ahead?.hasStretch(stretch(item.offset, item.next)),
        )
      const wanted = [...finished].filter((one) => one >= next)
      assert.deepEqual(
        passed.map((item) => item.offset),
        wanted.toSorted((a, b) => a - b),
        `seed ${seed}`,
      )
      assert.equal(covered, finished.size, `seed ${seed}`)
    }
  })

  test('that does not fit is left out from its end: what is told is true, and the rest comes again', () => {
    const tracker = track(0, 20_000, (offset) => offset % 2 === 1)
    const { metadata, covered } = describeFinished(tracker, undefined, timestampOf)
    assert.ok(
      metadata.length <= longestMetadata && metadata.length > longestMetadata - 4,
      `${metadata.length}`,
    )
    const passed = passedOver(read(0, metadata), 0, 20_000)
    assert.equal(passed.length, covered)
    assert.ok(covered > 2_000, `${covered}`)
    assert.deepEqual(
      passed,
      passed.map((_, i) => 2 * i + 1),
    )
    for (const longest of [0, 20, 40, 41, 42, 43, 200]) {
      const short = metadataOf(tracker, undefined, longest)
      assert.ok(short.length <= longest)
      assert.deepEqual(
        passedOver(read(0, short), 0, 100).every((offset) => offset % 2 === 1),
        true,
      )
    }
  })

  test('fits with the default bounds: a thousand in hand, wherever they stand among ten thousand', () => {
    const draw = drawNumbers(11)
    const drawn = new Set<number>([0])
    while (drawn.size < 1_000) drawn.add(draw(10_000))
    for (const isInHand of [(offset: number) => offset % 10 === 0, (offset: number) => drawn.has(offset)]) {
      const tracker = track(1e12, 1e12 + 10_000, (offset) => !isInHand(offset - 1e12))
      const { metadata, covered } = describeFinished(tracker, undefined, timestampOf)
      assert.equal(covered, 9_000)
      assert.ok(metadata.length < longestMetadata)
    }
  })

  test('is told on by an owner that has not read all of it', () => {
    const first = track(0, 100, (offset) => offset !== 0 && offset !== 50)
    const ahead = read(0, metadataOf(first))!
    const second = new OffsetTracker<Item>()
    for (let offset = 0; offset < 10; offset++) {
      if (ahead.hasRecord(record(offset))) second.pass(offset, offset + 1)
      else second.add(new Item(offset))
    }
    const wanted = Array.from({ length: 99 }, (_, i) => i + 1).filter((offset) => offset !== 50)
    assert.deepEqual(passedOver(read(0, metadataOf(second, ahead)), 0, 200), wanted)
    // Also when all that it has read is finished: the offset stands within what is finished then.
    second.finish(second.first!)
    assert.equal(second.next, 10)
    assert.deepEqual(
      passedOver(read(10, metadataOf(second, ahead)), 10, 200),
      wanted.filter((offset) => offset >= 10),
    )
  })

  test('is not told on while nothing was read that shows whether it is true', () => {
    const ahead = read(0, metadataOf(track(0, 100, (offset) => offset !== 0)))!
    assert.deepEqual(ahead.after(0), [])
  })

  test('is not spoken of while offsets come again, as they do in a topic that was made anew', () => {
    const tracker = track(0, 100, (offset) => offset !== 5)
    assert.notEqual(metadataOf(tracker), '')
    const anew = [0, 1, 2].map((offset) => new Item(offset))
    for (const item of anew) tracker.add(item)
    assert.equal(metadataOf(tracker), '')
    tracker.finish(tracker.first!)
    tracker.finish(anew[2]!)
    assert.equal(tracker.next, 0)
    assert.deepEqual(passedOver(read(0, metadataOf(tracker)), 0, 100), [2])
  })
})

describe('the next owner passes over nothing', () => {
  const metadata = metadataOf(track(500, 1_500, (offset) => offset !== 500))

  test('when another record stands at the committed offset: the topic was made anew', () => {
    const ahead = read(500, metadata)!
    assert.equal(ahead.hasRecord(record(500, 7)), false)
    assert.equal(ahead.over, true)
    assert.deepEqual(passedOver(ahead, 501, 1_500), [])
  })

  test('when the record at the committed offset is not there any more', () => {
    assert.deepEqual(passedOver(read(500, metadata), 501, 1_500), [])
  })

  test('when it cannot be read', () => {
    const ahead = read(500, metadata)!
    assert.equal(ahead.hasStretch(stretch(500, 520)), false)
    assert.deepEqual(passedOver(ahead, 520, 1_500), [])
  })

  test('once offsets have come again', () => {
    const ahead = read(500, metadata)!
    assert.equal(ahead.hasRecord(record(500)), false)
    assert.equal(ahead.hasRecord(record(501)), true)
    assert.equal(ahead.hasRecord(record(501)), false)
    assert.deepEqual(passedOver(ahead, 502, 1_500), [])
  })

  test('of an unreadable stretch that is finished in part only', () => {
    const ahead = read(500, metadata)!
    assert.equal(ahead.hasRecord(record(500)), false)
    assert.equal(ahead.hasStretch(stretch(600, 1_501)), false)
  })

  test('of metadata that is not ours, or damaged', () => {
    assert.notEqual(read(500, metadata), undefined)
    const hostile = [
      '',
      'milena1:',
      'milena2:' + metadata.slice(8),
      'NO_METADATA',
      '{"host":"a"}',
      'milena1:0PA',
      'milena1:0P1v7glij0BB', // an unfinished stretch, and no finished one behind it
      'milena1:0P1v7glij0BBA', // a finished stretch of no length
      'milena1:0P1v7glij0BBnfA_', // a number that does not end
      'milena1:0P1v7glij0BB nf',
      'milena1:0P1v7glij0BB=nf',
      'milena1:0P1v7glij0BBnfé',
      `milena1:0P1v7glij0BB${'_'.repeat(20)}f`, // beyond 2^53
      `milena1:0P1v7glij0BB${'g'.repeat(4_000)}B`,
      `milena1:0P1v7glij0BB________H________H`, // together beyond 2^53
      `milena1:0P1v7glij0BB${'nf'.repeat(3_000)}`, // longer than any broker keeps
    ]
    // Reading costs no more than their length: offsets up to 2^53 that were counted one by one would never end.
    for (const text of hostile) assert.equal(read(500, text), undefined, text.slice(0, 60))
    assert.equal(read(501, metadata), undefined, 'it belongs to another offset')
  })

  test('of random damage, but what the damage says: nothing is thrown and no offset is below the commit', () => {
    const draw = drawNumbers(3)
    const characters = 'ABCfgnz09-_:=é '
    for (let i = 0; i < 5_000; i++) {
      const at = draw(metadata.length)
      const damaged = metadata.slice(0, at) + characters[draw(characters.length)] + metadata.slice(at + 1)
      const ahead = read(500, damaged)
      for (const offset of [500, 501, 1_200, Number.MAX_SAFE_INTEGER - 1]) ahead?.hasRecord(record(offset))
    }
  })
})
