/** A broker in front of another one, which says that it offers less: as an older release would. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { EmbeddedKafka } from '@milena/embedded-kafka'

const API_VERSIONS = 18

export interface OlderBroker extends AsyncDisposable {
  readonly address: string
}

/** @param newest by API key, the newest version that is offered; −1 for none */
export async function startOlderBroker(
  real: EmbeddedKafka,
  newest: () => ReadonlyMap<number, number>,
): Promise<OlderBroker> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const broker = connect(real.port, '127.0.0.1')
    /** API keys by correlation id, of what was asked and not answered yet. */
    const asked = new Map<number, number>()
    for (const [from, to] of [
      [client, broker],
      [broker, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => undefined)
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
    onFrame(client, (frame) => {
      asked.set(frame.readInt32BE(8), frame.readInt16BE(4))
      broker.write(frame)
    })
    onFrame(broker, (frame) => {
      const key = asked.get(frame.readInt32BE(4))
      if (key === API_VERSIONS) offerLess(frame, newest())
      else advertise(frame, real.port, (server.address() as AddressInfo).port)
      client.write(frame)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Changes ApiVersions' answer (version 3 and 4: key, lowest, highest, no tags, for each API). */
function offerLess(frame: Buffer, newest: ReadonlyMap<number, number>): void {
  for (let at = 11; at + 7 <= frame.length; at += 7) {
    const most = newest.get(frame.readInt16BE(at))
    if (most === undefined) continue
    if (most < 0) frame.writeInt16BE(1_000, at)
    else frame.writeInt16BE(most, at + 4)
  }
}

/** So that whoever asks where the broker is comes back here. */
function advertise(frame: Buffer, port: number, instead: number): void {
  for (let at = 8; at + 4 <= frame.length; at++)
    if (frame.readInt32BE(at) === port) frame.writeInt32BE(instead, at)
}

function onFrame(socket: Socket, take: (frame: Buffer) => void): void {
  let rest = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const frame = Buffer.from(rest.subarray(0, 4 + rest.readInt32BE(0)))
      rest = rest.subarray(frame.length)
      take(frame)
    }
  })
}
