import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MilenaError } from '../src/errors.ts'
import { Commits } from '../src/replier/commits.ts'
import { Job, PartitionWork } from '../src/replier/partition-work.ts'
import { ReplierCounters } from '../src/replier/stats.ts'
import { Warnings } from '../src/replier/warnings.ts'
import type { RecordPosition } from '../src/transport/transport.ts'
import { ManualClock } from './manual-clock.ts'

class Bench {
  readonly clock = new ManualClock()
  readonly counters = new ReplierCounters()
  readonly commits: Commits
  /** What was asked to be committed, as `partition:offset`. */
  readonly asked: string[][] = []
  readonly #answers: PromiseWithResolvers<void>[] = []

  constructor(interval = 100) {
    this.commits = new Commits({
      groupId: 'g',
      interval,
      clock: this.clock,
      counters: this.counters,
      warnings: new Warnings({ warn: () => undefined }, 'test'),
    })
    this.commits.joined({
      commit: (offsets: readonly RecordPosition[]) => {
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

  partition(partition: number): (count: number) => PartitionWork {
    const work = new PartitionWork({ topic: 't', partition })
    let offset = 0
    return (count) => {
      for (let i = 0; i < count; i++) {
        const record = {
          topic: 't',
          partition,
          offset: offset++,
          key: null,
          value: null,
          headers: [],
          timestamp: 0,
          size: 1,
        }
        const job = new Job(record, work)
        work.tracker.add(job)
        work.begun(job)
        if (work.finish(job)) this.commits.touch(work)
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
