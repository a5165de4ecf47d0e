/** Nothing begins at a replier that closes, nor of a partition that it lets go of, whatever it is still handed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { execute } from './executing.ts'

for (const how of ['closes', 'lets go of a partition'] as const)
  test(`what comes while a replier ${how} is not begun: it is the next owner’s`, async (t) => {
    const running = Promise.withResolvers<never>()
    const { ask, broker, clock, counters, group, joined, tries } = await execute(t, () => running.promise, {
      partitions: 2,
      drainTimeout: 10_000,
    })
    // Handed over by the test, from here on.
    const [first, added] = [0, 1].map((partition) => ({ topic: 'shop_request', partition }))
    joined().onLost([added!], 'taken')
    await ask('a')
    await clock.advance(1)
    assert.deepEqual(tries, ['a#1'])
    const over = how === 'closes' ? group.leave(60_000) : joined().onRevoked([first!])
    // A partition that is to move lingers first: what runs has most of the time, and the rest goes on.
    if (how !== 'closes') await clock.advance(9_000)
    const record = broker.records('shop_request')[0]!
    const received = counters.received
    joined().onRecords([{ ...record, offset: 1 }], undefined)
    if (how === 'closes') {
      // The group gives it another one meanwhile.
      joined().onAssigned!([added!])
      joined().onRecords([{ ...record, partition: 1 }], undefined)
    }
    await clock.advance(1)
    assert.deepEqual([tries, counters.received], [['a#1'], received])
    await clock.advance(60_000)
    await over
  })
