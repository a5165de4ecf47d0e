/** A request whose partition is lost before its reply was acknowledged: nobody was answered, and nothing is finished. */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import type { HandlingEndedStep } from '../src/diagnostics.ts'
import { TransportError } from '../src/errors.ts'
import type { RecordPosition } from '../src/transport/transport.ts'
import { until } from './asking.ts'
import { execute, replied } from './executing.ts'
import { echo, setUp } from './replying.ts'

test('a reply that was given up with its partition is neither delivered nor finished: the request is handled again', async (t) => {
  const { replier, asking, broker, connect, committed } = await setUp(t)
  const connection = connect()
  let lost = false
  let refused = 0
  broker.faults = {
    send(record) {
      if (record.topic !== 'shop_reply' || lost) return undefined
      refused++
      return { fate: 'not-sent' }
    },
  }
  const worker = replier({ connection, sessionTimeout: 30, heartbeatInterval: 10 })
  let runs = 0
  worker.handle(echo, () => `run ${++runs}`)
  await worker.start()
  const asked = await asking.ask('x', { key: 'k' })
  await until('its reply could not be sent', () => refused > 0)
  connection.disconnect(100)
  await until('the partition is lost', () => worker.health().partitions === 0)
  lost = true
  // The same process gets the partition back. What it had finished it would pass over now.
  await asking.reply(asked)
  assert.deepEqual(
    asking.repliesTo(asked).map(({ text }) => text),
    ['run 2'],
  )
  await until('it is committed', () => committed() === 1)
  assert.deepEqual([runs, worker.stats().replied, worker.stats().repeated], [2, 1, 0])
})

for (const when of ['while it is on its way', 'before it is sent again'] as const)
  test(`a reply whose partition is lost ${when}, and that fails, is neither delivered nor finished`, async (t) => {
    const ended: string[] = []
    const listen = (step: unknown): void => void ended.push((step as HandlingEndedStep).outcome)
    subscribe('milena:handling:ended', listen)
    t.after(() => unsubscribe('milena:handling:ended', listen))
    const sends: PromiseWithResolvers<RecordPosition>[] = []
    let stalled = true
    const { ask, broker, clock, counters, joined, replies, tries } = await execute(t, replied, {
      through: (transport) =>
        new Proxy(transport, {
          get(target, name) {
            const method: unknown = Reflect.get(target, name)
            if (name !== 'send' || !stalled)
              return typeof method === 'function' ? method.bind(target) : method
            return () => {
              const send = Promise.withResolvers<RecordPosition>()
              sends.push(send)
              return send.promise
            }
          },
        }),
    })
    await ask('a')
    await clock.advance(1)
    assert.equal(sends.length, 1)
    const fails = async (): Promise<void> => {
      sends[0]!.reject(new TransportError('MILENA_SEND_UNKNOWN', 'the connection was lost'))
      await clock.advance(1)
    }
    if (when === 'before it is sent again') await fails()
    const at = { topic: 'shop_request', partition: 0 }
    joined().onLost([at], 'taken')
    if (when === 'while it is on its way') await fails()
    await clock.advance(0)
    assert.deepEqual([ended, counters.replied, sends.length], [['abandoned'], 0, 1])

    // Finished, it would be passed over where it comes again.
    stalled = false
    joined().onAssigned!([at])
    joined().onRecords(broker.records('shop_request'), undefined)
    await clock.advance(1)
    assert.deepEqual([tries, replies(), counters.repeated], [['a#1', 'a#1'], ['a'], 0])
    assert.deepEqual(ended, ['abandoned', 'replied'])
  })
