import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MilenaError, TransportError } from '../src/errors.ts'
import { Commits } from '../src/replier/commits.ts'
import { FinishedAhead } from '../src/replier/finished-ahead.ts'
import { Job, PartitionWork } from '../src/replier/partition-work.ts'
import { ReplierCounters } from '../src/replier/stats.ts'
import { warningsOf } from './warned.ts'
import type { IncomingRecord, OffsetToCommit } from '../src/transport/transport.ts'
import { ManualClock } from './manual-clock.ts'

const at = { topic: 't', partition: 0 }

function recordAt(offset: number, partition = 0): IncomingRecord {
  return { topic: 't', partition, offset, key: null, value: null, headers: [], timestamp: 0, size: 1 }
}

class Bench {
  readonly clock = new ManualClock()
  readonly counters = new ReplierCounters()
  readonly commits: Commits
  /** What was asked to be committed, as `partition:offset`. */
  readonly asked: string[][] = []
  /** With what metadata. */
  readonly metadata: string[][] = []
  readonly #answers: PromiseWithResolvers<void>[] = []

  constructor(interval = 100) {
    this.commits = new Commits({
      groupId: 'g',
      interval,
      clock: this.clock,
      counters: this.counters,
      warnings: warningsOf(this.clock),
    })
    this.commits.joined({
      commit: (offsets: readonly OffsetToCommit[]) => {
        this.metadata.push(offsets.map(({ metadata = '' }) => metadata))
        this.asked.push(offsets.map(({ partition, offset }) => `${partition}:${offset}`))
        const answer = Promise.withResolvers<void>()
        this.#answers.push(answer)
        return answer.promise
      },
      pause: () => undefined,
      resume: () => undefined,
      troubles: () => [],
      close: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    })
  }

  /** Answers the commit that is in flight. */
  answer(error?: Error): void {
    const answer = this.#answers.shift()
    if (error === undefined) answer?.resolve()
    else answer?.reject(error)
  }

  /** Each call reads so many records more, and finishes those that are not stuck. */
  partition(
    partition: number,
    isStuck: (offset: number) => boolean = () => false,
  ): (count: number) => PartitionWork {
    const work = new PartitionWork({ topic: 't', partition })
    let offset = 0
    return (count) => {
      for (let i = 0; i < count; i++) {
        const job = new Job(recordAt(offset++, partition), work)
        work.tracker.add(job)
        work.begun(job)
        if (isStuck(job.offset)) continue
        work.finish(job)
        this.commits.touch(work)
      }
      return work
    }
  }
}

test('what finishes within the interval goes into one commit', async () => {
  const bench = new Bench()
  const [zero, one] = [bench.partition(0), bench.partition(1)]
  zero(3)
  await bench.clock.advance(99)
  one(2)
  assert.deepEqual(bench.asked, [])
  await bench.clock.advance(1)
  assert.deepEqual(bench.asked, [['0:3', '1:2']])
  bench.answer()
  await bench.clock.advance(1_000)
  assert.equal(bench.asked.length, 1)
  assert.equal(bench.counters.committed, 5)
})

test('there is never more than one commit in flight; what gathers meanwhile goes with the next', async () => {
  const bench = new Bench()
  const zero = bench.partition(0)
  zero(1)
  await bench.clock.advance(100)
  zero(1)
  await bench.clock.advance(10_000)
  zero(1)
  assert.deepEqual(bench.asked, [['0:1']])
  bench.answer()
  await bench.clock.advance(100)
  assert.deepEqual(bench.asked, [['0:1'], ['0:3']])
})

test('flush commits at once, after the one in flight', async () => {
  const bench = new Bench()
  const zero = bench.partition(0)
  zero(1)
  await bench.clock.advance(100)
  zero(1)
  const flushed = bench.commits.flush()
  await bench.clock.advance(0)
  assert.deepEqual(bench.asked, [['0:1']])
  bench.answer()
  await bench.clock.advance(0)
  assert.deepEqual(bench.asked, [['0:1'], ['0:2']])
  bench.answer()
  assert.equal(await flushed, undefined)
  assert.equal(await bench.commits.flush(), undefined)
  assert.equal(bench.asked.length, 2)
})

test('nothing is committed for a partition that is gone', async () => {
  const bench = new Bench()
  const [zero, one] = [bench.partition(0), bench.partition(1)]
  const gone = zero(3)
  one(1)
  gone.letGo(new Error('moved'))
  await bench.clock.advance(100)
  assert.deepEqual(bench.asked, [['1:1']])
})

test('a commit that fails is made again, later each time, with what is finished by then', async () => {
  const bench = new Bench()
  const zero = bench.partition(0)
  zero(1)
  await bench.clock.advance(100)
  bench.answer(new Error('no coordinator'))
  zero(1)
  await bench.clock.advance(200)
  assert.deepEqual(bench.asked, [['0:1'], ['0:2']])
  bench.answer(new Error('no coordinator'))
  await bench.clock.advance(399)
  assert.equal(bench.asked.length, 2)
  await bench.clock.advance(1)
  assert.equal(bench.asked.length, 3)
  bench.answer()
  await bench.clock.advance(0)
  assert.equal(bench.counters.committed, 2)
})

test('a fenced commit is not made again for a partition that is gone by then', async () => {
  const bench = new Bench()
  const [zero, one] = [bench.partition(0), bench.partition(1)]
  const lost = zero(1)
  one(1)
  await bench.clock.advance(100)
  lost.letGo(new Error('moved'))
  bench.answer(new MilenaError('MILENA_COMMIT_FENCED', 't/0'))
  await bench.clock.advance(10_000)
  assert.deepEqual(bench.asked, [['0:1', '1:1'], ['1:1']])
})

test('what is finished above a stuck record is committed with the same offset; the ordinary commit says nothing more', async () => {
  const bench = new Bench()
  const [zero, one] = [bench.partition(0, (offset) => offset === 2), bench.partition(1)]
  zero(2)
  one(2)
  await bench.clock.advance(100)
  bench.answer()
  assert.deepEqual(bench.metadata, [['', '']])
  zero(3)
  await bench.clock.advance(100)
  bench.answer()
  await bench.clock.advance(0)
  assert.equal(bench.counters.committed, 6)
  zero(1)
  await bench.clock.advance(100)
  bench.answer()
  await bench.clock.advance(0)
  assert.deepEqual(bench.asked.slice(1), [['0:2'], ['0:2']])
  const told = bench.metadata.slice(1).map(([metadata]) => {
    const ahead = FinishedAhead.read({ ...at, offset: 2, metadata: metadata! })!
    ahead.hasRecord(recordAt(2))
    return ahead.after(0)
  })
  assert.deepEqual(told, [[{ from: 3, to: 5 }], [{ from: 3, to: 6 }]])
  assert.equal(bench.counters.committed, 7)
})

test('nothing is committed while nothing more is finished, or no more of it can be said', async () => {
  const bench = new Bench()
  const work = bench.partition(0, (offset) => offset % 2 === 0)
  // Beyond the first 4 096 characters of this nothing fits.
  work(20_000)
  await bench.clock.advance(100)
  bench.answer()
  await bench.clock.advance(0)
  assert.ok(bench.metadata[0]![0]!.length > 4_000)
  const { committed } = bench.counters
  assert.ok(committed > 1_000 && committed < 10_000, `${committed} are covered`)
  bench.commits.touch(work(10))
  await bench.clock.advance(1_000)
  assert.equal(bench.asked.length, 1)
  assert.equal(await bench.commits.flush(), undefined)
  assert.equal(bench.asked.length, 1)
})

test('brokers that take less metadata are given less, in the end none', async () => {
  const bench = new Bench()
  bench.partition(0, (offset) => offset % 2 === 0)(20_000)
  const lengths: number[] = []
  const limit = 40
  for (let tries = 0; tries < 20; tries++) {
    await bench.clock.advance(5_000)
    const [text] = bench.metadata.at(-1)!
    lengths.push(text!.length)
    if (text!.length <= limit) break
    bench.answer(new TransportError('MILENA_BROKER_ERROR', 'OFFSET_METADATA_TOO_LARGE'))
  }
  bench.answer()
  await bench.clock.advance(0)
  assert.ok(lengths.length < 10 && lengths.at(-1)! > 20, lengths.join(' '))
  assert.ok(bench.counters.committed > 0)
  // Refused whatever it says: it is committed without.
  const none = new Bench()
  none.partition(0, (offset) => offset % 2 === 0)(20_000)
  for (let tries = 0; tries < 20; tries++) {
    await none.clock.advance(5_000)
    if (none.metadata.at(-1)![0] === '') break
    none.answer(new TransportError('MILENA_BROKER_ERROR', 'OFFSET_METADATA_TOO_LARGE'))
  }
  assert.deepEqual([none.asked.at(-1), none.metadata.at(-1)], [['0:0'], ['']])
})

test('a commit that fails otherwise is made again with all that it said', async () => {
  const bench = new Bench()
  bench.partition(0, (offset) => offset === 0)(10)
  await bench.clock.advance(100)
  bench.answer(new TransportError('MILENA_BROKER_UNREACHABLE', 'no coordinator'))
  await bench.clock.advance(1_000)
  assert.equal(bench.asked.length, 2)
  assert.deepEqual(bench.metadata[1], bench.metadata[0])
})
