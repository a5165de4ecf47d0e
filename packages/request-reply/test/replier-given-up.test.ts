/** A request whose partition is lost before its reply was acknowledged: nobody was answered, and nothing is finished. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from './asking.ts'
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
