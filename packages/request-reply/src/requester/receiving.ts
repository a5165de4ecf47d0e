/**
 * Whether replies can be received, and what is said when they cannot.
 *
 *   receiving ──trouble──▶ not receiving ──the list is empty──▶ receiving
 *       └────────────the transport was closed────────────▶ over: what is pending is told at once
 */
import type { Clock, ScheduledTimer } from '../clock.ts'
import type { AnyOperation } from '../contract/operation.ts'
import { MilenaError, OptionsError } from '../errors.ts'
import type { CompleteReplyRouting } from '../routing/open-routing.ts'
import type { Trouble, UnreadableRange } from '../transport/transport.ts'
import { wordsOf } from '../words.ts'

/** Milliseconds that expired requests wait for replies which have come while this process was held up. */
const catchUpLimit = 1_000

export interface ReceivingOptions {
  readonly clock: Clock
  /** No reply will come any more. */
  onOver(reason: Error): void
}

export class Receiving {
  readonly #options: ReceivingOptions
  readonly #waiting = new Set<() => void>()
  #routing: CompleteReplyRouting | undefined
  /** The last trouble, and when it ended, on the monotonic clock. */
  #last: Trouble | undefined
  #endedAt = -Infinity
  #unreadable: UnreadableRange | undefined
  #unreadableAt = -Infinity
  #over = false
  #catchingUp: Promise<void> | undefined
  #timer: ScheduledTimer | undefined

  constructor(options: ReceivingOptions) {
    this.#options = options
  }

  begin(routing: CompleteReplyRouting): void {
    this.#routing = routing
  }

  get troubles(): readonly Trouble[] {
    return this.#routing!.troubles()
  }

  get isOpen(): boolean {
    return this.#routing!.troubles().length === 0
  }

  /** The routing's list has changed. */
  changed(troubles: readonly Trouble[]): void {
    const [first] = troubles
    if (first !== undefined) this.#last = first
    else this.#endedAt = this.#options.clock.monotonic()
    const closed = troubles.find(({ kind }) => kind === 'closed')
    if (closed !== undefined && !this.#over) {
      this.#over = true
      this.#options.onOver(closed.error)
    }
    if (first === undefined || this.#over) this.#wake()
  }

  passedOver(range: UnreadableRange): void {
    this.#unreadable = range
    this.#unreadableAt = this.#options.clock.monotonic()
  }

  /** Resolves when replies can be received, or never will be. */
  async opened(): Promise<void> {
    // oxlint-disable-next-line no-await-in-loop -- it is woken again and again
    while (!this.isOpen && !this.#over) await new Promise<void>((resolve) => this.#waiting.add(resolve))
  }

  /** The error for a request that is not sent since its reply could not be received. */
  refusal(operation: AnyOperation): MilenaError {
    const [trouble] = this.troubles
    const why = trouble === undefined ? 'a moment ago they could not be' : wordsOfTrouble(trouble)
    const closed = trouble?.kind === 'closed'
    return new MilenaError(
      closed ? 'MILENA_CLOSED' : 'MILENA_NOT_RECEIVING',
      `operation ${operation.name}: not sent, since its reply could not be received: ${why}`,
      { cause: trouble?.error },
    )
  }

  /** @throws OptionsError of an operation whose topic is the reply topic: its requests would be taken for replies. */
  refuseAnsweringItself(operation: AnyOperation): void {
    const { topic } = this.#routing!.address()
    if (topic !== operation.topic) return
    throw new OptionsError(`operation ${operation.name}`, [
      `its topic ${operation.topic} is also this requester's reply topic (${topic}), so each request would be ` +
        `taken for a reply; the two need a topic each`,
    ])
  }

  /** What has kept a reply from being received since then; `undefined`: nothing that is known. */
  reasonSince(acceptedAt: number): string | undefined {
    const [now] = this.troubles
    if (now !== undefined) return `replies cannot be received: ${wordsOfTrouble(now)}`
    if (this.#last !== undefined && this.#endedAt >= acceptedAt)
      return `replies could not be received for a while: ${wordsOfTrouble(this.#last)}`
    const range = this.#unreadable
    if (range !== undefined && this.#unreadableAt >= acceptedAt)
      return `a stretch of ${range.topic}[${range.partition}] at offset ${range.offset} could not be read: ${range.reason}`
    return undefined
  }

  /** Resolves when what had come by now was handed over, after a bounded time at the latest. */
  catchUp(): Promise<void> {
    if (!this.isOpen) return Promise.resolve()
    this.#catchingUp ??= this.#catchUp()
    return this.#catchingUp
  }

  close(): void {
    this.#timer?.cancel()
    this.#over = true
    this.#wake()
  }

  async #catchUp(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#timer = this.#options.clock.schedule(catchUpLimit, resolve)
      const caughtUp = async (): Promise<void> => this.#routing!.caughtUp()
      void caughtUp().then(resolve, () => resolve())
    })
    this.#timer?.cancel()
    this.#catchingUp = undefined
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
