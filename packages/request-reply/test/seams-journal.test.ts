import { test } from 'node:test'
import { createMemoryBroker } from '../src/testing.ts'
import { finishesWhatADeadInstanceHadAccepted } from './seams/journal-case.ts'

test('a journal of a few lines finishes what a dead instance had accepted, in memory', async () => {
  const broker = createMemoryBroker({
    topics: [
      { name: 'work_request', partitions: 2 },
      { name: 'work_reply', partitions: 3 },
    ],
  })
  await finishesWhatADeadInstanceHadAccepted({
    requests: 'work_request',
    replies: 'work_reply',
    connect: async () => {
      const transport = broker.connect()
      return { transport, die: () => transport.kill() }
    },
  })
})
