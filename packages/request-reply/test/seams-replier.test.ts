/** The replier's seams: middlewares of a few lines, of which the library knows nothing. */
import { test, type TestContext } from 'node:test'
import { createMemoryBroker } from '../src/testing.ts'
import { answersFromTheStore, type ReplierCase } from './seams/replier-cases.ts'

function onMemory(t: TestContext): ReplierCase {
  const broker = createMemoryBroker({
    topics: [
      { name: 'pay_request', partitions: 1 },
      { name: 'pay_reply', partitions: 2 },
    ],
  })
  return {
    requests: 'pay_request',
    replies: 'pay_reply',
    sessionTimeout: 500,
    connect: async () => {
      const transport = broker.connect()
      t.after(() => transport.close())
      return { transport, die: () => transport.kill() }
    },
  }
}

test('stored replies in a few lines: a redelivery gets the first reply, however late', async (t) => {
  await answersFromTheStore(onMemory(t))
})
