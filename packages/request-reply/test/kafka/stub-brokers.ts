/** Brokers that misbehave in one way each, on free ports of 127.0.0.1. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { selfSigned } from '../../../../test/support/self-signed.ts'

export interface StubBroker extends AsyncDisposable {
  readonly address: string
  /** Connections so far. */
  readonly connections: number
}

/** Accepts connections and never says anything, as a hung process does. */
export function startSilentBroker(): Promise<StubBroker> {
  return listen(createServer())
}

/** Speaks TLS with a certificate that nobody has signed but itself. */
export function startSelfSignedBroker(): Promise<StubBroker> {
  return listen(createTlsServer(selfSigned))
}

/** Asks for SASL PLAIN and refuses every password, as Kafka does: SASL_AUTHENTICATION_FAILED (58). */
export function startRefusingBroker(): Promise<StubBroker> {
  return listen(
    createServer((socket) => {
      let received = Buffer.alloc(0)
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk])
        while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
          const request = received.subarray(4, 4 + received.readInt32BE(0))
          received = received.subarray(4 + request.length)
          const correlationId = request.readInt32BE(4)
          const [key, version] = [request.readInt16BE(0), request.readInt16BE(2)]
          respond(socket, correlationId, key === 18 && version > 0 ? unknownVersion : answers[key]!)
        }
      })
    }),
  )
}

/** ApiVersions v0: error 35; ApiVersions 0. */
const unknownVersion = hex('0023 00000001 001200000000')

/** By API key: what follows the correlation id. */
const answers: Readonly<Record<number, Buffer>> = {
  // ApiVersions v0: no error; SaslHandshake 0–1, SaslAuthenticate 0–1
  18: hex('0000 00000002 001100000001 002400000001'),
  // SaslHandshake v1: no error; PLAIN
  17: Buffer.concat([hex('0000 00000001 0005'), Buffer.from('PLAIN')]),
  // SaslAuthenticate v1: error 58, a text, no bytes, no lifetime
  36: Buffer.concat([hex('003a 000e'), Buffer.from('wrong password'), hex('00000000 0000000000000000')]),
}

function hex(digits: string): Buffer {
  return Buffer.from(digits.replaceAll(' ', ''), 'hex')
}

function respond(socket: Socket, correlationId: number, body: Buffer): void {
  const head = Buffer.alloc(8)
  head.writeInt32BE(4 + body.length, 0)
  head.writeInt32BE(correlationId, 4)
  socket.write(Buffer.concat([head, body]))
}

export async function listen(server: Server): Promise<StubBroker> {
  const sockets = new Set<Socket>()
  let connections = 0
  server.on('connection', (socket: Socket) => {
    connections++
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return connections
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
