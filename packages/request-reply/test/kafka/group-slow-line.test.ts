/** A member whose line carries little. */
import assert from 'node:assert/strict'
import { connect, createServer, type AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import { openKafka } from '../../src/transport/kafka/kafka-transport.ts'
import { Conditions, MemberLog } from '../../src/testing/collector.ts'

/** Milliseconds between two pieces that a line carries, and the bytes of one. */
const [TICK, PIECE] = [20, 2_048]

/** Lines to a broker, each of which carries so much of its answers at a time. Gives the port where they begin. */
async function openLines(t: TestContext, brokerPort: () => number): Promise<number> {
  const lines = createServer((near) => {
    const far = connect(brokerPort(), '127.0.0.1')
    let waiting = Buffer.alloc(0)
    const carrying = setInterval(() => {
      if (waiting.length > 0) near.write(waiting.subarray(0, PIECE))
      waiting = waiting.subarray(PIECE)
    }, TICK)
    near.on('data', (bytes) => far.write(bytes))
    far.on('data', (bytes) => (waiting = Buffer.concat([waiting, bytes])))
    for (const end of [near, far]) {
      end.on('error', () => undefined)
      end.on('close', () => {
        clearInterval(carrying)
        near.destroy()
        far.destroy()
      })
    }
  })
  t.after(() => lines.close())
  await new Promise<void>((resolve) => lines.listen(0, '127.0.0.1', resolve))
  return (lines.address() as AddressInfo).port
}

test('a JoinGroup whose answer takes long to arrive is waited for: it was not lost', async (t) => {
  const topics = Array.from({ length: 60 }, (_, index) => `${'t'.repeat(240)}-${index}`)
  let port = 0
  const advertisedPort = await openLines(t, () => port)
  const broker = await startEmbeddedKafka({ topics: topics.map((name) => `${name}:2`), advertisedPort })
  t.after(() => broker.close())
  port = broker.port
  const conditions = new Conditions()
  const members = [new MemberLog('a', conditions), new MemberLog('b', conditions)]
  for (const member of members) {
    const transport = await openKafka({ brokers: [`127.0.0.1:${advertisedPort}`] })
    t.after(() => transport.close())
    await transport.join(member.options({ groupId: 'g', topics, heartbeatInterval: 50 }))
  }
  await Promise.all(members.map((member) => member.holds(topics.length)))
  for (const { events, errors } of members) {
    assert.deepEqual(errors, [])
    assert.ok(!events.some((event) => event.startsWith('!')))
  }
})
