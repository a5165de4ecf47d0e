/** A broker that says what a test tells it to, and speaks an API of the tests' own: `echo`. */
import { createServer, type Server, type Socket } from 'node:net'
import { resolveKafkaOptions, type KafkaOptions } from '../../src/transport/kafka/options.ts'
import {
  Connections,
  type BrokerAddress,
  type BrokerPool,
} from '../../src/transport/kafka/connection/connections.ts'
import type { Api } from '../../src/transport/kafka/protocol/api.ts'
import { listen, type StubBroker } from './stub-brokers.ts'

export const API_VERSIONS = 18
export const HANDSHAKE = 17
export const AUTHENTICATE = 36
export const ECHO = 99

/** A request as it came. */
export interface Call {
  readonly key: number
  readonly version: number
  /** Behind the request's header. */
  readonly body: Buffer
  readonly socket: Socket
  /** How many connections came before this one's. */
  readonly connection: number
  /** What follows the answer's correlation id. */
  answer(body: Buffer): void
  /** An answer with its length and correlation id, to be sent in pieces or not at all. */
  frame(body: Buffer): Buffer
}

/** `answer` sees each request first; true: it has dealt with it. Else ApiVersions and `echo` are answered as a broker does. */
export function startScriptedBroker(
  answer: (call: Call) => boolean = () => false,
  makeServer: (serve: (socket: Socket) => void) => Server = createServer,
): Promise<StubBroker> {
  let connections = 0
  return listen(
    makeServer((socket) => {
      const connection = connections++
      let received = Buffer.alloc(0)
      socket.on('error', () => undefined)
      socket.on('data', (bytes: Buffer) => {
        received = Buffer.concat([received, bytes])
        while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
          const request = received.subarray(4, 4 + received.readInt32BE(0))
          received = received.subarray(4 + request.length)
          const call = callOf(request, socket, connection)
          if (!answer(call)) answerAsBroker(call)
        }
      })
    }),
  )
}

function callOf(request: Buffer, socket: Socket, connection: number): Call {
  const frame = (body: Buffer): Buffer => {
    const head = Buffer.alloc(8)
    head.writeInt32BE(4 + body.length, 0)
    head.writeInt32BE(request.readInt32BE(4), 4)
    return Buffer.concat([head, body])
  }
  return {
    key: request.readInt16BE(0),
    version: request.readInt16BE(2),
    body: request.subarray(10 + request.readInt16BE(8)),
    socket,
    connection,
    answer: (body) => void socket.write(frame(body)),
    frame,
  }
}

function answerAsBroker(call: Call): void {
  if (call.key === API_VERSIONS) call.answer(offer([ECHO, 0, 0], [HANDSHAKE, 0, 1], [AUTHENTICATE, 0, 1]))
  if (call.key === ECHO) call.answer(echoed(call.body))
}

/** The body of an answer to ApiVersions v3: these and ApiVersions itself. */
export function offer(...ranges: readonly [key: number, min: number, max: number][]): Buffer {
  const body = [0, 0, ranges.length + 2]
  for (const [key, min, max] of [[API_VERSIONS, 0, 3] as const, ...ranges])
    body.push(0, key, 0, min, 0, max, 0)
  return Buffer.from([...body, 0, 0, 0, 0, 0])
}

export function echoed(body: Buffer, throttle = 0): Buffer {
  const head = Buffer.alloc(4)
  head.writeInt32BE(throttle)
  return Buffer.concat([head, body])
}

/** Gets the bytes back that it is given. */
export const echo: Api<Buffer, Buffer> = {
  name: 'Echo',
  key: ECHO,
  versions: { oldest: 0, newest: 0 },
  flexibleFrom: Infinity,
  throttledFrom: 0,
  write: (to, bytes) => void to.piece(bytes),
  read: (from) => from.blob(),
}

/** A pool for one broker, closed at the end. */
export async function withPool(
  broker: StubBroker,
  options: Partial<KafkaOptions>,
  use: (pool: BrokerPool, address: BrokerAddress, connections: Connections) => Promise<void>,
): Promise<void> {
  const connections = new Connections(resolveKafkaOptions({ brokers: [broker.address], ...options }))
  const [host, port] = broker.address.split(':') as [string, string]
  try {
    await use(connections.open(), { host, port: Number(port) }, connections)
  } finally {
    await connections.close()
  }
}
