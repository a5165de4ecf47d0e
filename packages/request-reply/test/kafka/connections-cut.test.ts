import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { after, before, test } from 'node:test'
import { Connections } from '../../src/transport/kafka/connection/connections.ts'
import { resolveKafkaOptions } from '../../src/transport/kafka/options.ts'

/** Accepts connections and says nothing, as a hung broker does. */
const server = createServer((socket) => socket.on('error', () => {}))
let broker: { host: string; port: number }
let connections: Connections

before(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  broker = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
  const brokers = [`${broker.host}:${broker.port}`]
  connections = new Connections(
    resolveKafkaOptions({ brokers, connectTimeout: 60_000, requestTimeout: 60_000 }),
  )
})

after(async () => {
  await connections.close()
  server.close()
})

test('a connection that is cut while it is made rejects at once, and its pool closes (trap N12)', async () => {
  const pool = connections.open()
  const refused = assert.rejects(pool.get(broker))
  pool.cut(broker)
  await refused
  await setImmediate()
  await pool.close()
})

test('who asks for a connection right after one was cut gets another one', async () => {
  const pool = connections.open()
  const cut = assert.rejects(pool.get(broker), /given up/)
  pool.cut(broker)
  const connected = once(server, 'connection')
  const asked = pool.get(broker)
  await cut
  await connected
  await Promise.all([assert.rejects(asked, /the pool is closed/), pool.close()])
})

test('a connection that is cut while the broker’s first answer is awaited rejects at once (trap N12)', async () => {
  const pool = connections.open()
  const connected = once(server, 'connection')
  const refused = assert.rejects(pool.get(broker))
  await connected
  await setImmediate()
  pool.cut(broker)
  await refused
  await pool.close()
})

test('a pool closes at once while a hung broker owes it an answer', async () => {
  const pool = connections.open()
  const connected = once(server, 'connection')
  const refused = assert.rejects(pool.get(broker))
  await connected
  await pool.close()
  await refused
})
