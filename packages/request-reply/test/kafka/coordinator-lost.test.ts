import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BrokerAddress } from '../../src/transport/kafka/connection/connection.ts'
import type { BrokerPool, Connections } from '../../src/transport/kafka/connection/connections.ts'
import type { Metadata } from '../../src/transport/kafka/cluster/metadata.ts'
import { GroupCoordinator } from '../../src/transport/kafka/group/coordinator-requests.ts'
import { heartbeatApi } from '../../src/transport/kafka/protocol/heartbeat.ts'

test('what waits for a coordinator that a heartbeat has shown to hang waits no longer', async () => {
  const node = { errorCode: 0, id: 1, host: 'coordinator', port: 9092 }
  const metadata = { askAny: () => Promise.resolve(node), blame() {}, absolve() {} } as unknown as Metadata
  const connections = {
    open(): BrokerPool {
      const waiting = Promise.withResolvers<never>()
      waiting.promise.catch(() => undefined) // by the pool of heartbeats nobody waits
      const connection = {
        version: () => 0,
        ask: (api: unknown) =>
          api === heartbeatApi ? Promise.reject(new Error('not a byte')) : waiting.promise,
      }
      return {
        get: () => Promise.resolve(connection),
        cut: ({ host }: BrokerAddress) => waiting.reject(new Error(`cut from ${host}`)),
      } as unknown as BrokerPool
    },
  } as unknown as Connections
  const coordinator = new GroupCoordinator(connections, metadata, {
    groupId: 'g',
    instanceId: null,
    sessionTimeout: 10_000,
    rebalanceTimeout: 10_000,
  })
  const identity = { memberId: 'm', generation: 1 }
  const cut = { message: 'cut from coordinator' }
  const waits = [
    assert.rejects(coordinator.join('m', 'range', Buffer.alloc(0), ''), cut),
    assert.rejects(coordinator.commit(identity, [{ topic: 't', partition: 0, offset: 1 }]), cut),
    assert.rejects(coordinator.committed([{ topic: 't', partition: 0 }]), cut),
  ]
  await new Promise(setImmediate)
  await assert.rejects(coordinator.heartbeat(identity), { message: 'not a byte' })
  await Promise.all(waits)
})
