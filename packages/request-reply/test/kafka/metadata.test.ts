import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import { Connections } from '../../src/transport/kafka/connection/connections.ts'
import { Metadata } from '../../src/transport/kafka/cluster/metadata.ts'
import { resolveKafkaOptions } from '../../src/transport/kafka/options.ts'
import { metadataApi } from '../../src/transport/kafka/protocol/metadata.ts'
import { until } from './until.ts'

test('an answer that was asked for before a doubt does not settle it', async (context) => {
  const broker = await startEmbeddedKafka()
  const connections = new Connections(resolveKafkaOptions({ brokers: broker.brokers }))
  const metadata = new Metadata(connections)
  context.after(async () => {
    await metadata.close()
    await connections.close()
    await broker.close()
  })
  metadata.watch('t')
  const original = { ...metadataApi }
  let asked = 0
  mock.method(metadataApi, 'write', (...given: Parameters<typeof original.write>) => {
    original.write(...given)
    asked++
  })
  const first = metadata.refresh()
  await until('it is asked', () => asked === 1)
  const [second, third] = [metadata.refresh(), metadata.refresh()]
  await first
  assert.equal(asked, 1)
  await Promise.all([second, third])
  assert.equal(asked, 2, 'once more, for both')
})
