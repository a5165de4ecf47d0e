import * as runner from 'node:test'
import { createMemoryBroker } from '../src/transport/memory/broker.ts'
import type { MemoryTransport } from '../src/transport/memory/transport.ts'
import { describeTransportContract } from '../src/testing/transport-contract.ts'

describeTransportContract('memory', {
  runner,
  async open() {
    const broker = createMemoryBroker()
    const provisioner = broker.connect()
    let topics = 0
    return {
      transport: () => Promise.resolve(broker.connect()),
      async topic(partitions) {
        const name = `topic-${++topics}`
        await provisioner.createTopics([{ name, partitions }])
        return name
      },
      addPartitions: (topic, total) => Promise.resolve(broker.addPartitions(topic, total)),
      cutOff: (transport, milliseconds) => (transport as MemoryTransport).disconnect(milliseconds),
      close: () => provisioner.close(),
    }
  },
})
