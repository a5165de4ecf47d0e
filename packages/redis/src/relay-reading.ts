import type { RoutingContext, Trouble } from '@milena/request-reply'
import { connectRedis, ready, type RedisConnection, type RedisSource } from './connection.ts'
import { decodeReply } from './relay-message.ts'

export interface RelayReadingOptions {
  readonly source: RedisSource
  /** The reply topic, for what is said of a reply. */
  readonly topic: string
  readonly prefix: string
  readonly correlationPrefix: Buffer
  readonly context: RoutingContext
  readonly notify?: 'subscribe' | 'poll' | undefined
  readonly pollInterval: number
}

/** How many keys are asked for with one command. */
const most = 500
const none: readonly Trouble[] = []

/**
 * Reads an instance's replies out of Redis.
 *
 *     receiving ── connection lost ──▶ away ── connected, subscribed, everything pending asked for ──▶ receiving
 */
export class RelayReading {
  readonly #options: RelayReadingOptions
  /** Asks for keys; and one that does nothing but listen, for Redis has it so. */
  readonly #asking: RedisConnection
  readonly #listening: RedisConnection | undefined
  #troubles: readonly Trouble[] = none
  #timer: { cancel(): void } | undefined
  #asked: Promise<void> | undefined
  #closed = false

  constructor(options: RelayReadingOptions) {
    this.#options = options
    this.#asking = connectRedis(options.source)
    this.#listening = options.notify === 'poll' ? undefined : connectRedis(options.source)
  }

  get troubles(): readonly Trouble[] {
    return this.#troubles
  }

  async open(timeout: number): Promise<void> {
    const listening = this.#listening?.client
    await Promise.all([ready(this.#asking.client, timeout), listening && ready(listening, timeout)])
    await this.#asking.client.ping()
    if (listening !== undefined) {
      listening.on('pmessageBuffer', (_pattern: string, channel: Buffer, message: Buffer) =>
        this.#receive(channel.toString('latin1'), message),
      )
      await listening.psubscribe(this.#pattern)
    }
    for (const connection of [this.#asking, this.#listening]) {
      connection?.client.on('close', () => this.#lost())
      connection?.client.on('ready', () => void this.#back())
    }
    this.#pollLater()
  }

  /** Asks for everything that is pending. Rejects when Redis does not answer. */
  askOnce(): Promise<void> {
    this.#asked ??= this.#ask().finally(() => (this.#asked = undefined))
    return this.#asked
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#asking.close()
    this.#listening?.close()
  }

  get #pattern(): string {
    const { prefix, correlationPrefix } = this.#options
    return `${prefix}${correlationPrefix.toString('hex')}*`
  }

  async #ask(): Promise<void> {
    const { context, prefix } = this.#options
    const names = [...context.pending()].map((id) => prefix + id.toString('hex'))
    for (let from = 0; from < names.length; from += most) {
      const some = names.slice(from, from + most)
      // oxlint-disable-next-line no-await-in-loop -- a bounded question at a time
      const found = await this.#asking.client.mgetBuffer(...some)
      found.forEach((message, index) => message && this.#receive(some[index]!, message))
    }
  }

  #receive(name: string, message: Buffer): void {
    const { context, topic } = this.#options
    if (this.#closed) return
    try {
      const { value, headers } = decodeReply(message)
      const { length: size } = message
      // It stands nowhere in a log that was read.
      context.receive([
        { topic, partition: -1, offset: -1, key: null, value, headers, timestamp: context.clock.now(), size },
      ])
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      context.warn(new Error(`what Redis has under ${name} is no reply: ${why}`))
    }
  }

  #pollLater(): void {
    if (this.#options.notify !== 'poll' || this.#closed) return
    const { clock } = this.#options.context
    this.#timer = clock.schedule(this.#options.pollInterval, () => {
      this.askOnce()
        // The connection says so itself.
        .catch(() => {})
        .finally(() => this.#pollLater())
    })
  }

  #lost(): void {
    if (this.#closed || this.#troubles.length > 0) return
    const { context } = this.#options
    const error = new Error('the connection to Redis was lost, and replies come through it')
    this.#troubles = [{ kind: 'unreachable', since: context.clock.now(), error }]
    context.onTrouble(this.#troubles)
  }

  /** A connection is there again. */
  async #back(): Promise<void> {
    const both = [this.#asking, this.#listening]
    const isReady = (): boolean => both.every((one) => one === undefined || one.client.status === 'ready')
    if (this.#troubles.length === 0 || !isReady()) return
    try {
      await this.#listening?.client.psubscribe(this.#pattern)
      // What was published meanwhile was told to nobody.
      await this.askOnce()
    } catch {
      return // it is lost again, and comes back again
    }
    if (this.#closed || !isReady()) return
    this.#troubles = none
    this.#options.context.onTrouble(none)
  }
}
