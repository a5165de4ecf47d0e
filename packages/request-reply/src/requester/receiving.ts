/**
 * Whether replies can be received, and what is said when they cannot.
 *
 *   receiving ──trouble that stops it──▶ not receiving ──none is left──▶ receiving
 *       └────────────the transport was closed────────────▶ over: what is pending is told at once
 *
 * Each reply topic is by itself: what is in the way of one concerns the requests that are answered there.
 */
import type { Clock, ScheduledTimer } from '../clock.ts'
import type { AnyOperation } from '../contract/operation.ts'
import { MilenaError, OptionsError } from '../errors.ts'
import type { CompleteReplyRouting } from '../routing/open-routing.ts'
import type { ReplyRoutes, ReplyTopicName } from '../routing/reply-routes.ts'
import type { Trouble, UnreadableRange } from '../transport/transport.ts'
import { stoppingOf } from '../transport/troubles.ts'
import { wordsOf } from '../words.ts'
import type { PendingReply } from './pending.ts'
import type { ReplyTopicHealth } from './stats.ts'

/** Milliseconds that expired requests wait for replies which have come while this process was held up. */
const catchUpLimit = 1_000

export interface ReceivingOptions {
  readonly clock: Clock
  /** No reply will come any more. */
  onOver(reason: Error): void
}

/** What was in the way of a reply topic's replies, and when that ended, on the monotonic clock. */
interface Past {
  /** The last trouble. */
  trouble: Trouble | undefined
  endedAt: number
  unreadable: UnreadableRange | undefined
  unreadableAt: number
}

export class Receiving {
  readonly #options: ReceivingOptions
  readonly #waiting = new Set<() => void>()
  readonly #past = new Map<ReplyTopicName, Past>()
  #routes: ReplyRoutes | undefined
  #over = false
  #catchingUp: Promise<void> | undefined
  #timer: ScheduledTimer | undefined

  constructor(options: ReceivingOptions) {
    this.#options = options
  }

  begin(routes: ReplyRoutes): void {
    this.#routes = routes
  }

  /** Of all reply topics. */
  get troubles(): readonly Trouble[] {
    return this.#routes!.troubles()
  }

  /** Each reply topic by itself. */
  health(): readonly ReplyTopicHealth[] {
    return this.#routes!.all.map((routing) => {
      const troubles = routing.troubles()
      const { topic, partition } = routing.address()
      return { topic, partition, receiving: stoppingOf(troubles).length === 0, troubles }
    })
  }

  /** Whether replies can be received in none of them. */
  get isShut(): boolean {
    return this.#routes!.all.every((routing) => stoppingOf(routing.troubles()).length > 0)
  }

  /** Whether the reply to this request can be received. */
  isOpenFor({ replyTopic }: PendingReply): boolean {
    return stoppingOf(this.#routes!.at(replyTopic).troubles()).length === 0
  }

  /** A routing's list has changed. */
  changed(troubles: readonly Trouble[], of: ReplyTopicName): void {
    const [first] = troubles
    const past = this.#pastOf(of)
    if (first !== undefined) past.trouble = first
    else past.endedAt = this.#options.clock.monotonic()
    const closed = troubles.find(({ kind }) => kind === 'closed')
    if (closed !== undefined && !this.#over) {
      this.#over = true
      this.#options.onOver(closed.error)
    }
    if (stoppingOf(troubles).length === 0 || this.#over) this.#wake()
  }

  passedOver(range: UnreadableRange): void {
    const past = this.#pastOf(this.#nameOf(range.topic))
    past.unreadable = range
    past.unreadableAt = this.#options.clock.monotonic()
  }

  /** Resolves when the reply to this request can be received, or never will be. */
  async opened(pending: PendingReply): Promise<void> {
    // oxlint-disable-next-line no-await-in-loop -- it is woken again and again
    while (!this.isOpenFor(pending) && !this.#over)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
  }

  /** The error for a request that is not sent since its reply could not be received. */
  refusal({ operation, replyTopic }: { operation: AnyOperation; replyTopic?: ReplyTopicName }): MilenaError {
    const [trouble] = stoppingOf(this.#routes!.at(replyTopic).troubles())
    const why = trouble === undefined ? 'a moment ago they could not be' : wordsOfTrouble(trouble)
    const closed = trouble?.kind === 'closed'
    return new MilenaError(
      closed ? 'MILENA_CLOSED' : 'MILENA_NOT_RECEIVING',
      `operation ${operation.name}: not sent, since its reply could not be received: ${why}`,
      { cause: trouble?.error },
    )
  }

  /**
   * Reads where the reply is to go.
   *
   * @throws OptionsError of a reply topic that there is not, and of an operation whose topic is one: its requests would be
   *   taken for replies
   */
  choose(pending: PendingReply): void {
    const { operation, replyTopic } = pending
    const routes = this.#routes!
    if (replyTopic !== undefined) {
      const { topic } = routes.at(replyTopic).address()
      pending.replyTopic = this.#nameOf(topic)
    }
    if (!routes.reads(operation.topic)) return
    throw new OptionsError(`operation ${operation.name}`, [
      `its topic ${operation.topic} is also this requester's reply topic (${operation.topic}), so each request would be ` +
        `taken for a reply; the two need a topic each`,
    ])
  }

  /**
   * What has kept a reply from being received in this topic since then; `undefined`: nothing that is known.
   *
   * @param topic `undefined`: the default one
   */
  reasonSince(acceptedAt: number, topic: string | undefined): string | undefined {
    const name = topic === undefined ? undefined : this.#nameOf(topic)
    const [now] = this.#routes!.at(name).troubles()
    if (now !== undefined) return `replies cannot be received: ${wordsOfTrouble(now)}`
    const past = this.#past.get(name)
    if (past === undefined) return undefined
    if (past.trouble !== undefined && past.endedAt >= acceptedAt)
      return `replies could not be received for a while: ${wordsOfTrouble(past.trouble)}`
    const range = past.unreadable
    if (range !== undefined && past.unreadableAt >= acceptedAt)
      return `a stretch of ${range.topic}[${range.partition}] at offset ${range.offset} could not be read: ${range.reason}`
    return undefined
  }

  /** Resolves when what had come by now was handed over, after a bounded time at the latest. */
  catchUp(): Promise<void> {
    // One that is in any trouble does not hold up the others.
    const open = this.#routes!.all.filter((routing) => routing.troubles().length === 0)
    if (open.length === 0) return Promise.resolve()
    this.#catchingUp ??= this.#catchUp(open)
    return this.#catchingUp
  }

  close(): void {
    this.#timer?.cancel()
    this.#over = true
    this.#wake()
  }

  async #catchUp(open: readonly CompleteReplyRouting[]): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#timer = this.#options.clock.schedule(catchUpLimit, resolve)
      void Promise.allSettled(open.map(async (routing) => routing.caughtUp())).then(() => resolve())
    })
    this.#timer?.cancel()
    this.#catchingUp = undefined
  }

  #pastOf(name: ReplyTopicName): Past {
    let past = this.#past.get(name)
    if (past === undefined) {
      past = { trouble: undefined, endedAt: -Infinity, unreadable: undefined, unreadableAt: -Infinity }
      this.#past.set(name, past)
    }
    return past
  }

  #nameOf(topic: string): ReplyTopicName {
    return this.#routes === undefined || topic === this.#routes.address().topic ? undefined : topic
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

function wordsOfTrouble({ kind, topic, partition, since, error }: Trouble): string {
  const where = topic === undefined ? '' : ` of ${topic}${partition === undefined ? '' : `[${partition}]`}`
  return `${kind}${where} since ${timeOf(since)}: ${wordsOf(error)}`
}

function timeOf(since: number): string {
  return Number.isFinite(since) && Math.abs(since) <= 8.64e15 ? new Date(since).toISOString() : String(since)
}
