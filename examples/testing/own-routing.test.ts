/** What every reply routing must do, asked of ../own-routing.ts: in memory, and on a broker. To copy. */
import * as runner from 'node:test'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import { openKafka } from '@milena/request-reply'
import { createMemoryBroker, describeRoutingContract } from '@milena/request-reply/testing'
import { ordinalPartition } from '../own-routing.ts'

const memory = createMemoryBroker()
describeRoutingContract('ordinalPartition, in memory', {
  runner,
  connect: async () => memory.connect(),
  routing: (unique, ordinal) => ordinalPartition({ topic: `replies_${unique}`, ordinal }),
})

let broker: EmbeddedKafka | undefined
runner.before(async () => {
  broker = await startEmbeddedKafka()
})
runner.after(() => broker?.close())

describeRoutingContract('ordinalPartition, on the embedded broker', {
  runner,
  connect: () => openKafka({ brokers: broker!.brokers }),
  routing: (unique, ordinal) => ordinalPartition({ topic: `replies_${unique}`, ordinal }),
})
