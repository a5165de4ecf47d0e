import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import type { ApiHandler } from './apis/handler.ts'
import type { Broker } from './broker.ts'
import { Connection } from './connection.ts'
import type { ConnectionHost } from './connection.ts'

const slowestSweepMs = 1000
const backlog = 1024
/** A connection that was idle for so long, in ms, may be closed for a new one: clients connect again when they need to. */
const givesWayAfterMs = 10_000

/** Listens for clients of one broker, bounds how many there are, and closes those that are idle. */
export class BrokerServer {
  readonly #broker: Broker
  readonly #host: ConnectionHost
  readonly #server: Server
  /** In the order of their arrival. */
  readonly #connections = new Set<Connection>()
  #queuedBytes = 0
  #refused = 0
  #sweep: NodeJS.Timeout | undefined

  constructor(broker: Broker, handlers: readonly ApiHandler[]) {
    this.#broker = broker
    this.#host = {
      broker,
      handlers: new Map(handlers.map((handler) => [handler.key, handler])),
      queued: (bytes) => this.#queued(bytes),
      lagging: () => this.#lagging(),
      closed: (connection) => this.#connections.delete(connection),
    }
    this.#server = createServer((socket) => this.#accept(socket))
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  /** Requests that wait for something, such as fetches without records. */
  get parkedCount(): number {
    let parked = 0
    for (const connection of this.#connections) if (connection.parked) parked += 1
    return parked
  }

  /** Connections that were refused or closed because there were too many. */
  get refusedCount(): number {
    return this.#refused
  }

  /** Resolves with the port once it listens. @throws the system's error, such as EADDRINUSE */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port, backlog }, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
    // Once it listens, an error concerns one connection that could not be accepted.
    this.#server.on('error', (error) => this.#broker.settings.report(`a connection failed: ${error.message}`))
    const { idleTimeoutMs, requestTimeoutMs } = this.#broker.settings
    const period = Math.min(slowestSweepMs, Math.ceil(Math.min(idleTimeoutMs, requestTimeoutMs) / 2))
    // After what has arrived was read: this process may have been held up, and nobody is idle for that.
    this.#sweep = setInterval(() => setImmediate(() => this.#closeIdle()), period)
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : port
  }

  /** Stops listening and closes every connection; resolves when the port is free again. */
  async close(): Promise<void> {
    clearInterval(this.#sweep)
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
    for (const connection of this.#connections) connection.close()
    await closed
  }

  #accept(socket: Socket): void {
    if (this.#connections.size >= this.#broker.settings.maxConnections && !this.#makeRoom()) {
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    this.#connections.add(new Connection(socket, this.#host))
  }

  /**
   * There are too many connections: the oldest that never said anything goes, or else the one that was idle for the
   * longest, if there is one.
   */
  #makeRoom(): boolean {
    this.#refused += 1
    let longest: Connection | undefined
    for (const connection of this.#connections) {
      if (connection.silent) {
        connection.close()
        return true
      }
      if (longest === undefined || connection.idleSince < longest.idleSince) longest = connection
    }
    if (longest === undefined || Date.now() - longest.idleSince < givesWayAfterMs) return false
    longest.close()
    return true
  }

  #queued(bytes: number): void {
    this.#queuedBytes += bytes
    const { maxQueuedBytes } = this.#broker.settings
    if (bytes <= 0 || this.#queuedBytes <= maxQueuedBytes) return
    const holder = this.#largest(({ queuedBytes }) => queuedBytes)
    holder?.close(
      `all connections together have more than ${maxQueuedBytes} bytes waiting (maxQueuedBytes), this one the most: ` +
        `${holder.queuedBytes}`,
    )
  }

  #lagging(): void {
    const { maxUnsentBytes } = this.#broker.settings
    let unsent = 0
    for (const connection of this.#connections) unsent += connection.unsentBytes
    if (unsent <= maxUnsentBytes) return
    const holder = this.#largest(({ unsentBytes }) => unsentBytes)
    holder?.close(
      `clients have not taken more than ${maxUnsentBytes} bytes of answers (maxUnsentBytes), this one the most: ` +
        `${holder.unsentBytes}`,
    )
  }

  /** The connection that holds the most: a limit that is reached costs it, not whoever comes last. */
  #largest(held: (connection: Connection) => number): Connection | undefined {
    let largest: Connection | undefined
    for (const connection of this.#connections) {
      if (largest === undefined || held(connection) > held(largest)) largest = connection
    }
    return largest
  }

  #closeIdle(): void {
    const now = Date.now()
    for (const connection of this.#connections) connection.closeIfIdle(now)
  }
}
