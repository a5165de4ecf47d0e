/** The replier's seams: middlewares of a few lines, of which the library knows nothing. */
import { test, type TestContext } from 'node:test'
import { createMemoryBroker } from '../src/testing.ts'
import { keepsWhatFailed, type ReplierCase } from './seams/replier-cases.ts'

function onMemory(t: TestContext): ReplierCase {
  const broker = createMemoryBroker({
    topics: [
      { name: 'pay_request', partitions: 1 },
      { name: 'pay_request-dlt', partitions: 1 },
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

test('dead letters in a few lines: nothing is committed past a record that could not be kept', async (t) => {
  await keepsWhatFailed(onMemory(t))
})
