/**
 * The reading of a reply topic, as all strategies have it: what lasts is a list of troubles, and a topic that is gone
 * is made again where that is allowed.
 *
 *     well ──missing──▶ making it ──made──▶ waiting for the reading to go on ──▶ well
 *                        ▲     └──refused──▶ pausing, longer each time ─┐
 *                        └──────────────────────────────────────────────┘
 *
 * Somebody may delete it again and again, or a broker may say that it made what it did not: the pause goes back to
 * nothing only when the topic has stood for a while.
 */
import type { ScheduledTimer } from '../clock.ts'
import { TransportError } from '../errors.ts'
import type { RecordPosition, StartPosition, Tail, TopicSpec, Trouble } from '../transport/transport.ts'
import { errorOf } from '../words.ts'
import { isClosed } from './leases.ts'
import type { RoutingContext } from './routing.ts'

export interface ReplyTopicOptions {
  /** As it is made again. */
  readonly spec: TopicSpec
  readonly partitions: readonly number[] | 'all'
  readonly from: StartPosition | readonly RecordPosition[]
  /** Whether it is made again when it is gone; else somebody has to. */
  readonly makeAgain: boolean
}

/** Milliseconds before it is made once more: nothing the first time, then from the one to the other. */
const firstPause = 1_000
const longestPause = 30_000
/** Milliseconds after the last attempt after which the next time counts as the first. */
const stoodLong = 60_000

export class ReplyTopic {
  readonly #context: RoutingContext
  readonly #options: ReplyTopicOptions
  #tail: Tail | undefined
  #troubles: readonly Trouble[] = []
  #missing = false
  #pause = 0
  #triedAt = -Infinity
  #timer: ScheduledTimer | undefined
  #making: Promise<void> = Promise.resolve()
  #refusal: string | undefined
  #closing = false

  private constructor(context: RoutingContext, options: ReplyTopicOptions) {
    this.#context = context
    this.#options = options
  }

  /** Resolves when the reading has begun: what is sent from now on will be received. */
  static async open(context: RoutingContext, options: ReplyTopicOptions): Promise<ReplyTopic> {
    const opened = new ReplyTopic(context, options)
    opened.#tail = await context.transport.tail({
      topic: options.spec.name,
      partitions: options.partitions,
      from: options.from,
      onRecords: (records) => context.receive(records),
      onUnreadable: (range) => context.unreadable(range),
      onTrouble: (troubles) => opened.#changed(troubles),
      onError: (error) => opened.#told(error),
    })
    return opened
  }

  troubles(): readonly Trouble[] {
    return this.#troubles
  }

  positions(): readonly RecordPosition[] {
    return this.#tail!.positions()
  }

  caughtUp(): Promise<void> {
    return this.#tail!.caughtUp()
  }

  /** Resolves when nothing is read and nothing made any more. */
  async close(): Promise<void> {
    this.#closing = true
    this.#timer?.cancel()
    await Promise.all([this.#tail!.close(), this.#making])
  }

  #changed(troubles: readonly Trouble[]): void {
    if (this.#closing) return
    this.#troubles = troubles
    const missing = troubles.some((trouble) => trouble.kind === 'topic-missing')
    if (missing !== this.#missing) {
      this.#missing = missing
      if (missing && this.#options.makeAgain) this.#isGone()
      else this.#timer?.cancel()
    }
    this.#context.onTrouble(troubles)
  }

  #told(error: Error): void {
    if (this.#closing || isClosed(error)) return // a transport that is closed is a trouble, and no news to who closed it
    const { name } = this.#options.spec
    const gone = error instanceof TransportError && error.code === 'MILENA_TOPIC_MISSING'
    const what = `reply topic ${name} was removed under its living owner, which makes it again; what was on its way is lost`
    this.#context.warn(
      gone && this.#options.makeAgain ? new TransportError(error.code, what, { cause: error }) : error,
    )
  }

  #isGone(): void {
    const { clock } = this.#context
    if (clock.monotonic() - this.#triedAt >= stoodLong) this.#pause = 0
    if (this.#pause === 0) this.#make()
    else this.#makeLater()
  }

  #make(): void {
    this.#pause = Math.min(Math.max(firstPause, 2 * this.#pause), longestPause)
    const { transport } = this.#context
    this.#making = this.#making
      .then(() => transport.createTopics([this.#options.spec]))
      .then(
        () => (this.#refusal = undefined),
        (thrown: unknown) => this.#refused(errorOf(thrown)),
      )
      .then(() => {
        this.#triedAt = this.#context.clock.monotonic()
        // Until the reading says that it is there: the broker that answered may not be the one that made it.
        if (this.#missing && !this.#closing) this.#makeLater()
      })
  }

  #makeLater(): void {
    this.#timer?.cancel()
    this.#timer = this.#context.clock.schedule(this.#pause, () => this.#make())
  }

  /** Told once for as long as it is the same. */
  #refused(error: Error): void {
    if (error.message === this.#refusal || this.#closing || isClosed(error)) return
    this.#refusal = error.message
    this.#context.warn(error)
  }
}
