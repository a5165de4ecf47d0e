/**
 * Makes a connection: TCP, TLS, versions, login, all within one time limit. What fails leaves nothing behind.
 */
import { isIP, createConnection, type Socket } from 'node:net'
import type { ConnectionOptions as TlsOptions, SecureContext } from 'node:tls'
import { errorOf, wordsOf } from '../../../words.ts'
import type { ResolvedKafkaOptions } from '../options.ts'
import type { BrokerAddress } from './connection.ts'
import { Login, TokenRefused } from './login.ts'
import { SocketConnection } from './socket-connection.ts'
import { endOf, NetworkFailure, Refusal } from './verdicts.ts'
import { askVersions } from './versions.ts'

/** Milliseconds without traffic after which the operating system asks whether the other side is there: firewalls see it, too. */
const KEEPALIVE = 60_000
/** The part of a session after which the login is renewed, at least and at most: not all connections at once. */
const RENEW_FROM = 0.8
const RENEW_TO = 0.9

/** Makes connections to the brokers of one cluster; what they have in common is prepared once. */
export class Connector {
  readonly #options: ResolvedKafkaOptions
  readonly #login: Login | undefined
  #context: SecureContext | undefined

  constructor(options: ResolvedKafkaOptions) {
    this.#options = options
    this.#login = options.sasl === undefined ? undefined : new Login(options.sasl)
  }

  /**
   * Resolves within `connectTimeout`; rejects with `MILENA_AUTHENTICATION_FAILED` when trying again cannot help, else with
   * what happened. `silence`: milliseconds. `begun` gets each connection that is begun, to cut it.
   */
  async connect(
    broker: BrokerAddress,
    silence: number,
    begun: (connection: SocketConnection) => void,
  ): Promise<SocketConnection> {
    const deadline = performance.now() + this.#options.connectTimeout
    try {
      return await this.#attempt(broker, silence, deadline, begun)
    } catch (error) {
      const isOver = !(error instanceof Error && error.cause instanceof TokenRefused)
      if (isOver || performance.now() >= deadline) throw error
      return this.#attempt(broker, silence, deadline, begun)
    }
  }

  async #attempt(
    broker: BrokerAddress,
    silence: number,
    deadline: number,
    begun: (connection: SocketConnection) => void,
  ): Promise<SocketConnection> {
    const { clientId, connectTimeout, tls } = this.#options
    const socket = this.#open(broker)
    socket.once('connect', () => {
      socket.setNoDelay(true)
      socket.setKeepAlive(true, KEEPALIVE)
    })
    const settings = { clientId, mostInFlight: 1, silence }
    const connection = new SocketConnection(broker, socket, tls !== undefined, settings)
    begun(connection)
    const timer = setTimeout(() => {
      connection.cut(new NetworkFailure(`no connection within ${connectTimeout} ms`))
      this.#login?.giveUp()
    }, deadline - performance.now())
    try {
      if (tls !== undefined) socket.once('connect', () => (connection.stage = 'agreeing on TLS'))
      await ready(socket, tls === undefined ? 'connect' : 'secureConnect', connection)
      connection.stage = 'asking what it speaks'
      connection.learn(await askVersions(connection))
      if (this.#login !== undefined) {
        connection.stage = 'logging in'
        await this.#logIn(connection, this.#login)
      }
      if (connection.end !== undefined) throw connection.end.error
      connection.stage = undefined
      return connection
    } catch (error) {
      connection.cut(errorOf(error))
      throw connection.end!.error
    } finally {
      clearTimeout(timer)
    }
  }

  async #logIn(connection: SocketConnection, login: Login): Promise<void> {
    const lifetime = await connection.unlessEnded(login.logIn(connection))
    if (lifetime <= 0) return
    const part = RENEW_FROM + Math.random() * (RENEW_TO - RENEW_FROM)
    connection.renewIn(lifetime * part, () => this.#renew(connection, login))
  }

  /** Requests wait for it: within the time that a connection may take. */
  async #renew(connection: SocketConnection, login: Login): Promise<void> {
    const { connectTimeout } = this.#options
    const timer = setTimeout(() => {
      connection.cut(new NetworkFailure(`the login was not renewed within ${connectTimeout} ms`))
      login.giveUp()
    }, connectTimeout)
    try {
      await this.#logIn(connection, login)
    } finally {
      clearTimeout(timer)
    }
  }

  #open({ host, port }: BrokerAddress): Socket {
    const { tls } = this.#options
    if (tls === undefined) return createConnection({ host, port })
    // Not imported: it takes its time to load, and most do without it.
    const { connect, createSecureContext } = process.getBuiltinModule('node:tls')
    try {
      this.#context ??= tls.secureContext ?? createSecureContext(tls)
      return connect({ ...tls, ...nameFor(tls, host), host, port, secureContext: this.#context })
    } catch (error) {
      const refusal = new Refusal(`the tls option cannot be used: ${wordsOf(error)}`, { cause: error })
      throw endOf(`${host}:${port}`, refusal, 'connecting').error
    }
  }
}

/** SNI (RFC 6066) names hosts, never addresses; the certificate is checked against the host either way. */
function nameFor(tls: TlsOptions, host: string): TlsOptions {
  return tls.servername === undefined && isIP(host) === 0 ? { servername: host } : {}
}

async function ready(socket: Socket, event: string, connection: SocketConnection): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.once(event, () => resolve())
  await connection.unlessEnded(promise)
}
