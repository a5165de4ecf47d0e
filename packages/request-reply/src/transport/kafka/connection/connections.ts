/**
 * Connections to brokers, in pools of one purpose each.
 *
 * A broker answers the requests of one connection in order: behind a fetch that waits for records, or a JoinGroup that
 * waits for members, nothing else gets through. So produce, metadata, each reader's fetches and each member's group
 * traffic have a pool of their own, with one connection per broker in it.
 */
import type { ResolvedKafkaOptions } from '../options.ts'
import { Backoff } from './backoff.ts'
import { Connector } from './connecting.ts'
import type { BrokerAddress } from './connection.ts'
import type { SocketConnection } from './socket-connection.ts'
import { NetworkFailure } from './verdicts.ts'

export type { BrokerAddress } from './connection.ts'

/** `host:port`, as it stands in messages and maps. */
export function addressOf(broker: BrokerAddress): string {
  return `${broker.host}:${broker.port}`
}

/** What a pool tells of itself. */
interface PoolOwner {
  closed(pool: BrokerPool): void
  /** A connection to this broker was forgotten while it was not used: those of other pools may have been, too. */
  forgotten(broker: BrokerAddress): void
}

/** Connections of one purpose, one per broker, made when first needed and again after they broke. */
export class BrokerPool {
  readonly #connector: Connector
  readonly #backoff: Backoff
  readonly #silence: number
  readonly #open = new Map<string, SocketConnection>()
  /** One attempt for all who ask meanwhile. */
  readonly #attempts = new Map<string, Promise<SocketConnection>>()
  /** All that have not ended, with those that are only being made. */
  readonly #alive = new Set<SocketConnection>()
  /** Those that were cut by us. */
  readonly #given = new WeakSet<SocketConnection>()
  readonly #owner: PoolOwner
  #closing: Promise<void> | undefined

  /** For `Connections` only. `silence`: milliseconds. */
  constructor(connector: Connector, backoff: Backoff, silence: number, owner: PoolOwner) {
    this.#connector = connector
    this.#backoff = backoff
    this.#silence = silence
    this.#owner = owner
  }

  get closed(): boolean {
    return this.#closing !== undefined
  }

  /** The open connection to a broker, if there is one: no promise, for the hot path. */
  peek(broker: BrokerAddress): SocketConnection | undefined {
    const connection = this.#open.get(addressOf(broker))
    if (connection?.open !== true) return undefined
    if (!connection.stale(performance.now())) return connection
    connection.cut(new NetworkFailure('not used for long'))
    return undefined
  }

  /**
   * A connection to a broker: the open one, or a new one within `connectTimeout`. Rejects with
   * `MILENA_AUTHENTICATION_FAILED` when trying again cannot help, else with a `NetworkFailure`; for a moment after a
   * failure with that one, without another attempt.
   */
  async get(broker: BrokerAddress): Promise<SocketConnection> {
    const open = this.peek(broker)
    if (open !== undefined) return open
    const address = addressOf(broker)
    let attempt = this.#attempts.get(address)
    if (attempt === undefined) {
      attempt = this.#connect(broker, address)
      this.#attempts.set(address, attempt)
      const made = attempt
      const over = (): void => {
        if (this.#attempts.get(address) === made) this.#attempts.delete(address)
      }
      attempt.then(over, over)
    }
    return attempt
  }

  async #connect(broker: BrokerAddress, address: string): Promise<SocketConnection> {
    if (this.closed) throw new NetworkFailure(`broker ${address}: the pool is closed`)
    this.#backoff.check(address)
    let begun: SocketConnection | undefined
    try {
      const connection = await this.#connector.connect(broker, this.#silence, (one) => {
        begun = one
        this.#alive.add(one)
        one.onEnd = () => this.#forget(one, address)
        if (this.closed) one.cut(new NetworkFailure('the pool is closed'))
      })
      this.#backoff.worked(address)
      this.#open.set(address, connection)
      return connection
    } catch (error) {
      // One that we gave up says nothing of the broker.
      if (begun === undefined || !this.#given.has(begun)) this.#backoff.failed(address, error)
      throw error
    }
  }

  /**
   * Cuts the connections to one broker, also those that are only being made: requests under way reject.
   *
   * @param quiet only those by which nothing has come, and nothing was asked, for so many milliseconds
   */
  cut(broker: BrokerAddress, quiet = 0): void {
    const address = addressOf(broker)
    const now = performance.now()
    // Who asks from now on does not get the end of what is cut here.
    if (quiet === 0) this.#attempts.delete(address)
    for (const connection of this.#alive) {
      if (addressOf(connection.broker) !== address || connection.quietFor(now) < quiet) continue
      this.#given.add(connection)
      connection.cut(new NetworkFailure('given up, it does not answer'))
    }
  }

  /** Cuts the connection to a broker if it was not used for a while. */
  cutIdle(broker: BrokerAddress): void {
    const connection = this.#open.get(addressOf(broker))
    if (connection?.idle(performance.now()) === true) {
      connection.cut(new NetworkFailure('another one that was not used for a while is dead'))
    }
  }

  /** Cuts every connection at once: requests under way reject. Safe to call twice; resolves when the sockets are gone. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    const gone = [...this.#alive].map((connection) => connection.gone)
    for (const connection of this.#alive) {
      this.#given.add(connection)
      connection.cut(new NetworkFailure('the pool is closed'))
    }
    this.#open.clear()
    await Promise.all(gone)
    this.#owner.closed(this)
  }

  #forget(connection: SocketConnection, address: string): void {
    this.#alive.delete(connection)
    if (this.#open.get(address) === connection) this.#open.delete(address)
    if (connection.forgotten) this.#owner.forgotten(connection.broker)
  }
}

/** Makes the pools and closes them all. */
export class Connections {
  readonly options: ResolvedKafkaOptions
  readonly #connector: Connector
  readonly #backoff = new Backoff()
  readonly #pools = new Set<BrokerPool>()
  #closed = false

  constructor(options: ResolvedKafkaOptions) {
    this.options = options
    this.#connector = new Connector(options)
  }

  /**
   * A pool for one purpose. `silence`: milliseconds for which a broker may say nothing while it owes an answer, default
   * the option `requestTimeout`; longer where the broker is asked to wait (a long poll, a rebalance).
   */
  open(silence: number = this.options.requestTimeout): BrokerPool {
    const pool = new BrokerPool(this.#connector, this.#backoff, silence, {
      closed: (one) => this.#pools.delete(one),
      forgotten: (broker) => {
        for (const one of this.#pools) one.cutIdle(broker)
      },
    })
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
