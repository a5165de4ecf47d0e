/** NATS request: core NATS keeps nothing, so a server's restart loses what is on its way. A class of its own. */
import { connect } from '@nats-io/transport-node'
import type { BenchSystem } from '../system.ts'

const port = 4222

export const natsRequest: BenchSystem = {
  name: 'NATS request',
  durability: 'not durable',
  server: port,
  async serverVersion() {
    const connection = await connect({ port })
    const version = connection.info?.version
    await connection.close()
    return `NATS ${version}`
  },
  sides: {
    async openAsker({ topics, setting: { payloadBytes } }) {
      const connection = await connect({ port })
      const payload = Buffer.alloc(payloadBytes, 'n')
      return {
        async ask() {
          const reply = await connection.request(topics.requests, payload, { timeout: 60_000 })
          if (reply.data.length !== payloadBytes) throw new Error('NATS: the reply is not the request')
        },
        close: () => connection.close(),
      }
    },
    async openAnswerer({ topics }) {
      const connection = await connect({ port })
      connection.subscribe(topics.requests, {
        callback: (error, message) => {
          if (error) throw error
          message.respond(message.data)
        },
      })
      await connection.flush()
      return { close: () => connection.close() }
    },
  },
}
