import type { Clock, ScheduledTimer } from '../clock.ts'
import { longestTimeout } from '../contract/operation.ts'
import { isMilenaError } from '../error-types.ts'
import type { IncomingRecord, RecordPosition } from '../transport/transport.ts'
import { lastHeader, MessageHeaders, type HeaderInput } from '../wire/headers.ts'
import { readInstance } from '../wire/milena.ts'

/** What a handler is told of its request. */
export interface HandlerContext {
  /** The operation's name. */
  readonly operation: string
  /** In hexadecimal, as the requester has it too, if the profile can read it, else as it came; `undefined` when the request has none, as a one-way request may. */
  readonly correlationId: string | undefined
  /** The record's key: requests of one key are handled in order. */
  readonly key: Buffer | null
  readonly headers: MessageHeaders
  /** Where the request stands in the log. */
  readonly position: RecordPosition
  /** When the request was written, in milliseconds since the Unix epoch. */
  readonly timestamp: number
  /**
   * When the requester no longer waits, in milliseconds since the Unix epoch by this replier's clock, as far as it is known
   * here (`clockTolerance`); `undefined` when it does not say.
   */
  readonly deadline: number | undefined
  /**
   * Which try it is to handle this request, from 1: those of this record here, and one for each retry topic before. After a
   * crash, or when the partition has moved, its record is counted from the beginning again.
   */
  readonly attempt: number
  /** The requester's instance id, when it says so. */
  readonly instance: string | undefined
  /**
   * Fires when the result will not be wanted any more: the deadline has passed, the partition now belongs to another
   * replier, or the time in which `close()`, or a rebalance, waits for running handlers is over.
   */
  readonly signal: AbortSignal
  /**
   * What a request that is made while this one is handled should carry of it: options for `requester.request` and its like.
   *
   *     await requester.request(reserve, value, context.forward())
   *     await requester.request(reserve, value, { ...context.forward(), key: value.sku })
   */
  forward(): Forwarded
}

/** What a request made inside of a handler carries of the one that is handled. */
export interface Forwarded {
  /** Of the handled request's headers those that `forwardHeaders` names; of each name the last. */
  readonly headers: HeaderInput
  /** The handled request's: what is left of it is what there is time for. `undefined` when it states none. */
  readonly deadline: number | undefined
  /** The handler's own: when its result is not wanted any more, neither is that of the request. */
  readonly signal: AbortSignal
}

/** What the contexts of a replier have in common. */
export interface ContextParts {
  readonly clock: Clock
  readonly forwardHeaders: readonly ForwardedName[]
}

/** A header's name, as text and as it is looked for. */
export interface ForwardedName {
  readonly name: string
  readonly bytes: Buffer
}

/** The contexts whose signal somebody has asked for, to abort them together. */
export interface Abortable extends Set<RequestContext> {
  /** Why they were, for a signal that is asked for only then. */
  aborted?: Error | undefined
}

/** Looks things up when they are asked for: most handlers need few of them. */
export class RequestContext implements HandlerContext {
  readonly operation: string
  readonly deadline: number | undefined
  readonly attempt: number
  readonly #record: IncomingRecord
  readonly #correlationId: Buffer | undefined
  readonly #parts: ContextParts
  readonly #abortable: Abortable
  #headers: MessageHeaders | undefined
  #abort: AbortController | undefined
  #timer: ScheduledTimer | undefined
  /** Why this run was given up. */
  #abandoned: Error | undefined
  #released = false

  constructor(
    operation: string,
    record: IncomingRecord,
    correlationId: Buffer | undefined,
    deadline: number | undefined,
    parts: ContextParts,
    abortable: Abortable,
    attempt = 1,
  ) {
    this.attempt = attempt
    this.operation = operation
    this.deadline = deadline
    this.#record = record
    this.#correlationId = correlationId
    this.#parts = parts
    this.#abortable = abortable
  }

  get correlationId(): string | undefined {
    return this.#correlationId?.toString('hex')
  }

  get key(): Buffer | null {
    return this.#record.key
  }

  get headers(): MessageHeaders {
    return (this.#headers ??= new MessageHeaders(this.#record.headers))
  }

  get position(): RecordPosition {
    const { topic, partition, offset } = this.#record
    return { topic, partition, offset }
  }

  get timestamp(): number {
    return this.#record.timestamp
  }

  get instance(): string | undefined {
    return readInstance(this.#record.headers)
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      const givenUp = this.#abandoned ?? this.#abortable.aborted
      if (givenUp !== undefined) this.abandon(givenUp)
      else {
        if (!this.#released) this.#abortable.add(this)
        this.#watchDeadline()
      }
    }
    return this.#abort.signal
  }

  /** Whether the handler was told, by its signal, that the request is to be handled again. */
  get abandoned(): boolean {
    return this.#abandoned !== undefined
  }

  /** Why what has not begun need not begin any more, whether or not somebody has asked for the signal. */
  get over(): 'deadline' | Error | undefined {
    const givenUp = this.#abandoned ?? this.#abortable.aborted
    if (givenUp !== undefined) return givenUp
    return this.deadline !== undefined && this.#parts.clock.now() > this.deadline ? 'deadline' : undefined
  }

  forward(): Forwarded {
    const headers: [string, Buffer | null][] = []
    for (const { name, bytes } of this.#parts.forwardHeaders) {
      const value = lastHeader(this.#record.headers, bytes)
      if (value !== undefined) headers.push([name, value])
    }
    return { headers: Object.fromEntries(headers), deadline: this.deadline, signal: this.signal }
  }

  /** Whether every context has a field of this name, so that a middleware cannot add it. */
  isOwn(name: string): boolean {
    return name in RequestContext.prototype || ownFields.has(name)
  }

  /** Whether what a handler has thrown says no more than that its signal has fired, or that there was no time left, and for what. */
  stopped(thrown: unknown): 'deadline' | 'given up' | undefined {
    const signal = this.#abort?.signal
    if (signal === undefined) return undefined
    if (!signal.aborted) return this.#isLast() && isTimedOut(thrown) ? 'deadline' : undefined
    if (!isAbort(thrown, signal.reason) && !isTimedOut(thrown)) return undefined
    return this.abandoned ? 'given up' : 'deadline'
  }

  /** Fires the signal, which somebody has: this run is given up, the request will come again. */
  abandon(reason: Error): void {
    this.#abandoned ??= reason
    this.#timer?.cancel()
    this.#abort?.abort(reason)
  }

  /** The handler has ended. */
  release(): void {
    this.#released = true
    if (this.#abort === undefined) return
    this.#timer?.cancel()
    this.#abortable.delete(this)
  }

  /** Whether the signal is about to fire. A request with the same deadline may end first: its timer is another one. */
  #isLast(): boolean {
    return this.deadline !== undefined && this.deadline - this.#parts.clock.now() <= timerTolerance
  }

  #watchDeadline(): void {
    if (this.deadline === undefined) return
    const left = this.deadline - this.#parts.clock.now()
    if (left <= 0) return this.#deadlinePassed()
    if (left > longestTimeout || this.#released) return
    this.#timer = this.#parts.clock.schedule(left, () => this.#deadlinePassed())
  }

  #deadlinePassed(): void {
    this.#abort?.abort(new DOMException('the deadline of the request has passed', 'TimeoutError'))
  }
}

/** Milliseconds by which two timers of one moment may differ: each counts from when it was set, and clocks in whole ones. */
const timerTolerance = 2

/** A request of the handler's own had no reply in time. */
function isTimedOut(thrown: unknown): boolean {
  return isMilenaError(thrown) && thrown.code === 'MILENA_TIMEOUT'
}

const ownFields: ReadonlySet<string> = new Set<keyof RequestContext>(['operation', 'deadline', 'attempt'])

/** The signal's reason itself, or what Node's own functions make of it: an AbortError with the reason as its cause. */
function isAbort(thrown: unknown, reason: unknown): boolean {
  if (thrown === reason) return true
  try {
    return thrown instanceof Error && (thrown.name === 'AbortError' || thrown.cause === reason)
  } catch {
    return false
  }
}
