import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Random } from './random.ts'
import { VirtualClock } from './virtual-clock.ts'

describe('virtual clock', () => {
  it('fires by time, and at one time in the order of setting', async () => {
    const clock = new VirtualClock()
    const random = new Random('order')
    const fired: [at: number, order: number][] = []
    const delays = Array.from({ length: 500 }, () => random.between(0, 50))
    for (const [order, delay] of delays.entries())
      clock.schedule(delay, () => fired.push([clock.monotonic(), order]))
    await clock.run(50)
    const expected = delays
      .map((delay, order) => [delay, order])
      .toSorted((a, b) => a[0]! - b[0]! || a[1]! - b[1]!)
    assert.deepEqual(fired, expected)
    assert.equal(clock.timers, 0)
  })

  it('lets everything that a moment sets in motion come to rest before time goes on', async () => {
    const clock = new VirtualClock()
    const seen: string[] = []
    clock.schedule(1, () => {
      let chain = Promise.resolve()
      for (let i = 0; i < 100; i++) chain = chain.then(() => undefined)
      void chain.then(() => seen.push(`the chain at ${clock.monotonic()}`))
    })
    clock.schedule(2, () => seen.push(`the next timer at ${clock.monotonic()}`))
    await clock.run(10)
    assert.deepEqual(seen, ['the chain at 1', 'the next timer at 2'])
  })

  it('stops at its end, or as soon as a condition comes true, and goes on from there', async () => {
    const clock = new VirtualClock()
    let fired = 0
    for (const delay of [10, 20, 30]) clock.schedule(delay, () => fired++)
    assert.equal(await clock.run(15), false)
    assert.deepEqual([clock.monotonic(), fired, clock.timers], [15, 1, 2])
    assert.equal(await clock.run(100, () => fired === 2), true)
    assert.deepEqual([clock.monotonic(), fired], [20, 2])
    assert.equal(clock.now() - new VirtualClock().now(), 20)
  })

  it('does not fire what was cancelled, whenever and however often', async () => {
    const clock = new VirtualClock()
    const fired: string[] = []
    const late = clock.schedule(20, () => fired.push('late'))
    const early = clock.schedule(10, () => {
      fired.push('early')
      late.cancel()
      late.cancel()
    })
    await clock.run(100)
    early.cancel()
    assert.deepEqual([fired, clock.timers], [['early'], 0])
  })
})

function draw(seed: string): number[] {
  const random = new Random(seed)
  return Array.from({ length: 20 }, () => random.word())
}

describe('random', () => {
  it('gives the same again for the same seed, and something else for another', () => {
    assert.deepEqual(draw('a'), draw('a'))
    assert.notDeepEqual(draw('a'), draw('b'))
    assert.equal(new Set(draw('a')).size, 20)
  })

  it('has sources that do not disturb each other', () => {
    const one = new Random('seed')
    const other = new Random('seed')
    for (let i = 0; i < 10; i++) other.for('load').word()
    assert.equal(one.word(), other.word())
    assert.notEqual(one.for('load').word(), one.for('weather').word())
  })

  it('keeps its ranges and spreads over them', () => {
    const random = new Random('ranges')
    const counts = Array.from({ length: 6 }, () => 0)
    for (let i = 0; i < 6000; i++) counts[random.between(0, 6)]!++
    for (const count of counts) assert.ok(count > 800 && count < 1200, counts.join(' '))
    const chances = Array.from({ length: 4000 }, () => random.chance(0.25)).filter(Boolean).length
    assert.ok(chances > 800 && chances < 1200, String(chances))
    assert.equal(random.bytes(16).length, 16)
  })
})
