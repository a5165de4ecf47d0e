import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import { Connections } from '../../src/transport/kafka/connection/connections.ts'
import { Metadata } from '../../src/transport/kafka/cluster/metadata.ts'
import { Pauses } from '../../src/transport/kafka/waiting/pauses.ts'
import { resolveKafkaOptions } from '../../src/transport/kafka/options.ts'

describe('pauses between tries', () => {
  test('grow up to the longest, each between its half and its whole, and are short again after a reset', () => {
    const pauses = new Pauses({ first: 50, longest: 400 })
    for (const full of [50, 100, 200, 400, 400]) {
      const pause = pauses.next()
      assert.ok(pause >= full / 2 && pause <= full, `${pause} of ${full}`)
    }
    pauses.reset()
    assert.ok(pauses.next() <= 50)
  })

  test('are not the same for all who wait', () => {
    const first = Array.from({ length: 20 }, () => new Pauses({ first: 1_000, longest: 1_000 }).next())
    assert.ok(new Set(first).size > 10)
  })

  test('end with their signal', async () => {
    const abort = new AbortController()
    const waiting = new Pauses({ first: 3_600_000, longest: 3_600_000 }).wait(abort.signal)
    abort.abort()
    await waiting
  })
})

test('metadata that brings no news is asked for less and less often', async (t) => {
  const broker = await startEmbeddedKafka({ topics: ['t:1'] })
  const connections = new Connections(resolveKafkaOptions({ brokers: broker.brokers }))
  const metadata = new Metadata(connections)
  t.after(async () => {
    await metadata.close()
    await connections.close()
    await broker.close()
  })
  metadata.watch('t')
  const began = performance.now()
  for (let n = 0; n < 10; n++) await metadata.refresh()
  // A lower bound, which a busy machine does not change: at 50 ms each they would be over after 450.
  const took = performance.now() - began
  assert.ok(took >= 1_200, `10 requests within ${took} ms`)
})
