import type { Clock, ScheduledTimer } from '../clock.ts'
import { longestTimeout } from '../contract/operation.ts'
import type { IncomingRecord, RecordPosition } from '../transport/transport.ts'
import { MessageHeaders } from '../wire/headers.ts'
import { readInstance } from '../wire/milena.ts'

/** What a handler is told of its request. */
export interface HandlerContext {
  /** The operation's name. */
  readonly operation: string
  /** As it came, in hexadecimal. */
  readonly correlationId: string
  /** The record's key: requests of one key are handled in order. */
  readonly key: Buffer | null
  readonly headers: MessageHeaders
  /** Where the request stands in the log. */
  readonly position: RecordPosition
  /** When the request was written, in milliseconds since the Unix epoch. */
  readonly timestamp: number
  /** When the requester no longer waits, in milliseconds since the Unix epoch on its clock; `undefined` when it does not say. */
  readonly deadline: number | undefined
  /** The requester's instance id, when it says so. */
  readonly instance: string | undefined
  /**
   * Fires when the result will not be wanted any more: the deadline has passed, the partition now belongs to another
   * replier, or the time in which `close()`, or a rebalance, waits for running handlers is over.
   */
  readonly signal: AbortSignal
}

/** The contexts whose signal somebody has asked for, to abort them together. */
export type Abortable = Set<RequestContext>

/** Looks things up when they are asked for: most handlers need few of them. */
export class RequestContext implements HandlerContext {
  readonly operation: string
  readonly deadline: number | undefined
  /** Whether the handler was told, by its signal, that the request is to be handled again. */
  abandoned = false
  readonly #record: IncomingRecord
  readonly #correlationId: Buffer
  readonly #clock: Clock
  readonly #abortable: Abortable
  #headers: MessageHeaders | undefined
  #abort: AbortController | undefined
  #timer: ScheduledTimer | undefined

  constructor(
    operation: string,
    record: IncomingRecord,
    correlationId: Buffer,
    deadline: number | undefined,
    clock: Clock,
    abortable: Abortable,
  ) {
    this.operation = operation
    this.deadline = deadline
    this.#record = record
    this.#correlationId = correlationId
    this.#clock = clock
    this.#abortable = abortable
  }

  get correlationId(): string {
    return this.#correlationId.toString('hex')
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
      this.#abortable.add(this)
      this.#watchDeadline()
    }
    return this.#abort.signal
  }

  /** Fires the signal, which somebody has: this run is given up, the request will come again. */
  abandon(reason: Error): void {
    this.abandoned = true
    this.#timer?.cancel()
    this.#abort?.abort(reason)
  }

  /** The handler has ended. */
  release(): void {
    if (this.#abort === undefined) return
    this.#timer?.cancel()
    this.#abortable.delete(this)
  }

  #watchDeadline(): void {
    if (this.deadline === undefined) return
    const left = Math.max(0, this.deadline - this.#clock.now())
    if (left > longestTimeout) return
    this.#timer = this.#clock.schedule(left, () =>
      this.#abort?.abort(new DOMException('the deadline of the request has passed', 'TimeoutError')),
    )
  }
}
