/** An echo over one TCP connection, frames of a fixed size, what a turn of the event loop brings written at once. */
import { once } from 'node:events'
import { connect, createServer, type Socket, type AddressInfo } from 'node:net'
import type { BenchSystem } from '../system.ts'

export const tcpEcho: BenchSystem = {
  name: 'TCP echo',
  durability: 'no broker',
  server: 'none',
  sides: {
    async openAsker({ address, setting: { payloadBytes } }) {
      const socket = connect({ host: '127.0.0.1', port: Number(address), noDelay: true })
      await once(socket, 'connect')
      const payload = Buffer.alloc(payloadBytes, 't')
      // Replies come in the order of the requests.
      const waiting: (() => void)[] = []
      let answered = 0
      let bytes = 0
      socket.on('data', (chunk: Buffer) => {
        for (bytes += chunk.length; bytes >= payloadBytes; bytes -= payloadBytes) waiting[answered++]!()
        if (answered < 1_000) return
        waiting.splice(0, answered)
        answered = 0
      })
      const write = gatherWrites(socket)
      return {
        ask: () =>
          new Promise((resolve) => {
            waiting.push(resolve)
            write(payload)
          }),
        close: async () => void socket.destroy(),
      }
    },
    async openAnswerer() {
      const server = createServer({ noDelay: true }, (socket) => {
        socket.on('error', () => {}) // the asker has gone
        socket.pipe(socket)
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      return {
        address: String((server.address() as AddressInfo).port),
        close: async () => void server.close(),
      }
    },
  },
}

function gatherWrites(socket: Socket): (chunk: Buffer) => void {
  return (chunk) => {
    if (socket.writableCorked === 0) {
      socket.cork()
      setImmediate(() => socket.uncork())
    }
    socket.write(chunk)
  }
}
