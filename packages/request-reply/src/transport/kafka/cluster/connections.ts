/**
 * Connections to brokers, in pools of one purpose each.
 *
 * A broker answers the requests of one connection in order: behind a fetch that waits for records, or a JoinGroup that
 * waits for members, nothing else gets through. So produce, metadata, each reader's fetches and each member's group
 * traffic have a pool of their own, with one connection per broker in it.
 */
import { isIP, type Socket } from 'node:net'
import { ConnectionPool, type Connection, type ConnectionOptions } from '@platformatic/kafka'
import { authenticationError, authenticationFailure } from './kafka-errors.ts'
import { parseAddress, type ResolvedKafkaOptions } from '../options.ts'
import { askVersions, newestVersion, type ApiVersionTable, type OfferedVersions } from './versions.ts'

/** Where a broker listens. */
export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

/** `host:port`, as it stands in messages and maps. */
export function addressOf(broker: BrokerAddress): string {
  return `${broker.host}:${broker.port}`
}

/** An open connection to a broker, with what that broker can speak. */
export class Link {
  readonly connection: Connection
  readonly offered: OfferedVersions
  readonly #picked = new Map<object, { readonly version: number; readonly api: unknown }>()

  constructor(connection: Connection, offered: OfferedVersions) {
    this.connection = connection
    this.offered = offered
  }

  /** The newest version of an API for this broker. Throws `MILENA_BROKER_ERROR` when there is none. */
  pick<Api>(table: ApiVersionTable<Api>): { readonly version: number; readonly api: Api } {
    let picked = this.#picked.get(table) as { readonly version: number; readonly api: Api } | undefined
    if (picked === undefined) this.#picked.set(table, (picked = newestVersion(table, this.offered)))
    return picked
  }
}

/** Connections of one purpose, one per broker, made when first needed and again after they broke. */
export class BrokerPool {
  readonly #pool: ConnectionPool
  readonly #links = new Map<string, Link>()
  readonly #versions: Map<string, OfferedVersions>
  readonly #sockets = new Set<Connection>()
  readonly #onClosed: () => void
  #closing: Promise<void> | undefined

  /** For `Connections` only. */
  constructor(
    options: ResolvedKafkaOptions,
    requestTimeout: number,
    versions: Map<string, OfferedVersions>,
    onClosed: () => void,
  ) {
    this.#versions = versions
    this.#onClosed = onClosed
    this.#pool = new ConnectionPool(options.clientId, {
      maxInflights: 1,
      connectTimeout: options.connectTimeout,
      requestTimeout,
      ...(options.tls === undefined ? {} : { tls: options.tls, tlsServerName: wantsServerName(options) }),
      ...(options.sasl === undefined ? {} : { sasl: options.sasl as NonNullable<ConnectionOptions['sasl']> }),
    })
    this.#pool.on('connecting', ({ connection, broker }) => {
      this.#sockets.add(connection)
      // The pool itself listens to the first error only; a second one (a refused login whose socket then breaks)
      // would be an uncaught exception.
      connection.on('error', () => this.#forget(connection, addressOf(broker)))
      connection.on('close', () => this.#forget(connection, addressOf(broker)))
    })
  }

  get closed(): boolean {
    return this.#closing !== undefined
  }

  /** The open connection to a broker, if there is one: no promise, for the hot path. */
  peek(broker: BrokerAddress): Link | undefined {
    const link = this.#links.get(addressOf(broker))
    return link?.connection.isConnected() === true ? link : undefined
  }

  /**
   * A connection to a broker: the open one, or a new one within `connectTimeout`. Rejects with
   * `MILENA_AUTHENTICATION_FAILED` when trying again cannot help, else with the client's own error.
   */
  async get(broker: BrokerAddress): Promise<Link> {
    const open = this.peek(broker)
    if (open !== undefined) return open
    const address = addressOf(broker)
    try {
      const connection = await this.#pool.get(broker)
      let offered = this.#versions.get(address)
      if (offered === undefined) this.#versions.set(address, (offered = await askVersions(connection)))
      const link = new Link(connection, offered)
      if (connection.isConnected()) this.#links.set(address, link)
      return link
    } catch (error) {
      const failure = authenticationFailure(error)
      throw failure === undefined ? error : authenticationError(address, failure, error)
    }
  }

  /** Cuts the connections to one broker, also those that are only being made: requests under way reject. */
  cut(broker: BrokerAddress): void {
    for (const connection of this.#sockets) {
      if (connection.host !== broker.host || connection.port !== broker.port) continue
      // With an error: the client does not notice a socket that just closes while it connects.
      connection.socket?.destroy(new Error(`given up: ${addressOf(broker)} does not answer`))
    }
  }

  /** Cuts every connection at once: requests under way reject. Safe to call twice; resolves when the sockets are gone. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#pool.close().catch(() => undefined)
    // Not awaited: the client's close() waits until everything was written, which a hung broker never lets happen; and
    // for ever for a socket that has closed before.
    const gone = [...this.#sockets].map(({ socket }) => destroyed(socket))
    this.#links.clear()
    await Promise.all(gone)
    this.#onClosed()
  }

  #forget(connection: Connection, address: string): void {
    this.#sockets.delete(connection)
    if (this.#links.get(address)?.connection === connection) this.#links.delete(address)
    // It may come back as another version of itself.
    this.#versions.delete(address)
  }
}

function destroyed(socket: Socket | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (socket === undefined || socket.closed) {
      resolve()
      return
    }
    socket.once('close', () => resolve())
    socket.destroy()
  })
}

/** SNI (RFC 6066) names hosts, never addresses; the certificate is checked against the host either way. */
function wantsServerName(options: ResolvedKafkaOptions): boolean {
  if (options.tls?.servername !== undefined) return false
  return options.brokers.every((broker) => isIP(parseAddress(broker)?.host ?? '') === 0)
}

/** Makes the pools and closes them all. */
export class Connections {
  readonly options: ResolvedKafkaOptions
  readonly #pools = new Set<BrokerPool>()
  readonly #versions = new Map<string, OfferedVersions>()
  #closed = false

  constructor(options: ResolvedKafkaOptions) {
    this.options = options
  }

  /**
   * A pool for one purpose. `requestTimeout`: milliseconds within which a request of this pool must be answered,
   * default the option; longer where the broker is asked to wait (a long poll, a rebalance).
   */
  open(requestTimeout: number = this.options.requestTimeout): BrokerPool {
    const pool: BrokerPool = new BrokerPool(this.options, requestTimeout, this.#versions, () =>
      this.#pools.delete(pool),
    )
    this.#pools.add(pool)
    if (this.#closed) void pool.close()
    return pool
  }

  /** Closes every pool. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#pools].map((pool) => pool.close()))
  }
}
