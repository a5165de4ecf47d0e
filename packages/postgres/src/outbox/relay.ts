/**
 * A relay: one loop, over one connection, that writes down what was sent, claims what there is to send, and waits.
 *
 *   new ─ start ─▶ relaying ⇄ without a connection (tries again) ─ close ─▶ closed
 */
import { MilenaError, openKafka, type Transport } from '@milena/request-reply'
import type { Database } from '../database.ts'
import { Claims } from './claims.ts'
import type { OutboxRelay, OutboxRelayHealth, OutboxRelayStats, RelayOptions } from './outbox.ts'
import { readRelayOptions, type RelaySettings } from './relay-options.ts'
import { Rows } from './rows.ts'
import { Session } from './session.ts'
import { Wake } from './wake.ts'

/** Milliseconds between two tries to connect to the database. */
const reconnectAfter = 500
/** Milliseconds that closing gives the database when nothing is on its way any more. */
const closeGrace = 1_000
/** Milliseconds between two rounds of deleting what was kept long enough. */
const cleanEvery = 10_000

export class Relay implements OutboxRelay {
  readonly #database: Database
  readonly #options: RelayOptions
  readonly #settings: RelaySettings
  readonly #rows: Rows
  readonly #wake: Wake
  #claims: Claims | undefined
  #transport: Transport | undefined
  #started: Promise<void> | undefined
  #running: Promise<void> | undefined
  #closed: Promise<void> | undefined
  #closing = false
  /** What is on its way is not waited for any more. */
  #givenUp = false
  #trouble: OutboxRelayHealth['trouble']
  #lastFailure: OutboxRelayHealth['lastFailure']
  #cleaned = 0
  #cleanAt = 0

  /** @throws OptionsError */
  constructor(database: Database, options: RelayOptions) {
    this.#database = database
    this.#options = options
    this.#settings = readRelayOptions(options)
    this.#rows = new Rows(database)
    this.#wake = new Wake(this.#settings.clock)
  }

  start(): Promise<void> {
    if (this.#closing) return Promise.reject(new MilenaError('MILENA_CLOSED', 'the relay is closed'))
    return (this.#started ??= this.#start().catch((error: unknown) => {
      this.#started = undefined // so that it can be tried again
      throw error
    }))
  }

  stats(): OutboxRelayStats {
    const claims = this.#claims?.stats() ?? { sent: 0, failed: 0, keys: 0, rows: 0, bytes: 0 }
    return { ...claims, cleaned: this.#cleaned }
  }

  health(): OutboxRelayHealth {
    return {
      relaying: this.#running !== undefined && !this.#closing && this.#trouble === undefined,
      trouble: this.#trouble,
      lastFailure: this.#lastFailure,
    }
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #start(): Promise<void> {
    const { kafka, transport } = this.#options
    const { clock, sendTimeout } = this.#settings
    const opened = transport ?? (await openKafka({ deliveryTimeout: sendTimeout, ...kafka! }))
    this.#transport = opened
    let session: Session | undefined
    try {
      session = await this.#open()
      await this.#rows.heads(session, undefined, 1)
      if (this.#closing) throw new MilenaError('MILENA_CLOSED', 'the relay was closed while it started')
    } catch (error) {
      session?.end()
      if (transport === undefined) await opened.close()
      throw error
    }
    this.#claims = new Claims({
      settings: this.#settings,
      rows: this.#rows,
      transport: opened,
      onSettled: () => this.#wake.wake(),
      onFailure: (row, error) => {
        this.#lastFailure = { at: clock.now(), topic: row.record.topic, error }
      },
    })
    this.#running = this.#run(session, this.#claims)
  }

  async #run(first: Session, claims: Claims): Promise<void> {
    let session: Session | undefined = first
    while (session !== undefined || !this.#closing) {
      try {
        session ??= await this.#open()
        this.#trouble = undefined
        await this.#relay(session, claims)
        session.end()
        return
      } catch (error) {
        this.#trouble ??= { since: this.#settings.clock.now(), error }
        session?.end()
        session = undefined
        // Their claims have ended, so somebody else may have them.
        claims.stop(true)
        claims.want()
      }
      if (!this.#closing) await this.#wake.wait(reconnectAfter)
    }
  }

  /** Resolves when it is closing and nothing is on its way any more. */
  async #relay(session: Session, claims: Claims): Promise<void> {
    const { clock, pollInterval } = this.#settings
    let lookAt = clock.monotonic()
    for (;;) {
      await claims.settle(session)
      if (this.#closing && (claims.isEmpty || this.#givenUp)) return
      if (clock.monotonic() >= lookAt) {
        claims.want()
        lookAt = clock.monotonic() + pollInterval
      }
      const more = !this.#closing && (await claims.claim(session))
      if (!this.#closing) await this.#clean(session)
      if (session.lost !== undefined) throw session.lost
      // Waits even so, for no time, so that what has settled meanwhile goes first.
      await this.#wake.wait(more ? 0 : Math.max(0, lookAt - clock.monotonic()))
    }
  }

  async #clean(session: Session): Promise<void> {
    const { clock, keep, pollInterval } = this.#settings
    if (clock.monotonic() < this.#cleanAt) return
    const { deleted, more } = await this.#rows.clean(session, keep)
    this.#cleaned += deleted
    const pause = Math.max(pollInterval, Math.min(keep || cleanEvery, cleanEvery))
    this.#cleanAt = more ? 0 : clock.monotonic() + pause
  }

  #open(): Promise<Session> {
    const { clock, claimTimeout } = this.#settings
    return Session.open({
      database: this.#database,
      clock,
      claimTimeout,
      onNotified: () => {
        this.#claims?.want()
        this.#wake.wake()
      },
      onLost: () => this.#wake.wake(),
    })
  }

  async #close(): Promise<void> {
    this.#closing = true
    await this.#started?.catch(() => undefined)
    const claims = this.#claims
    claims?.stop(false)
    this.#wake.wake()
    const { clock, sendTimeout } = this.#settings
    const timer = clock.schedule(sendTimeout, () => {
      claims?.stop(true)
      this.#givenUp = true
      this.#wake.wake()
    })
    // A database that does not answer is not waited for; the loop ends when it does.
    const unanswered = Promise.withResolvers<void>()
    const last = clock.schedule(sendTimeout + closeGrace, unanswered.resolve)
    try {
      await Promise.race([this.#running, unanswered.promise])
    } finally {
      timer.cancel()
      last.cancel()
      if (this.#options.transport === undefined && this.#running !== undefined) await this.#transport?.close()
    }
  }
}
