import type { IncomingRecord } from '../transport/transport.ts'
import { MessageHeaders } from '../wire/headers.ts'
import type { ReplyAddress } from '../wire/profile.ts'
import type { Addressee } from './addressee.ts'
import type { RequestContext } from './context.ts'
import type { Handling } from './dispatch.ts'
import type { Outcome } from './outcome.ts'
import type { RawRequest } from './raw-request.ts'
import type { Handled, RequestRun } from './run.ts'

/** One try to handle a record: what was found out of it so far, and in the end its outcome. */
export class Turn implements Handled {
  readonly run: RequestRun
  readonly record: IncomingRecord
  readonly attempt: number
  readonly correlationId: Buffer | undefined
  readonly to: Addressee | undefined
  readonly handling: Handling | undefined
  readonly context: RequestContext
  /** Why it goes no further than the record middleware. */
  readonly refused: Outcome | undefined
  outcome: Outcome | Promise<Outcome>
  /** What the handler, or a middleware, has thrown. */
  error: unknown = undefined

  constructor(
    run: RequestRun,
    correlationId: Buffer | undefined,
    to: Addressee | undefined,
    handling: Handling | undefined,
    context: RequestContext,
    refused: Outcome | undefined,
  ) {
    this.run = run
    this.record = run.record
    this.attempt = run.attempt
    this.correlationId = correlationId
    this.to = to
    this.handling = handling
    this.context = context
    this.refused = refused
    this.outcome = refused ?? abandoned
  }
}

/** Nothing is said of a record whose partition is somebody else's by now. */
export const abandoned: Outcome = { kind: 'abandoned' }

/** A turn as record middleware sees it; looks things up when they are asked for. */
export class TurnRequest implements RawRequest {
  readonly #turn: Turn
  #headers: MessageHeaders | undefined

  constructor(turn: Turn) {
    this.#turn = turn
  }

  get record(): IncomingRecord {
    return this.#turn.record
  }

  get topic(): string {
    return this.#turn.record.topic
  }

  get partition(): number {
    return this.#turn.record.partition
  }

  get offset(): number {
    return this.#turn.record.offset
  }

  get key(): Buffer | null {
    return this.#turn.record.key
  }

  get value(): Buffer | null {
    return this.#turn.record.value
  }

  get headers(): MessageHeaders {
    return (this.#headers ??= new MessageHeaders(this.#turn.record.headers))
  }

  get timestamp(): number {
    return this.#turn.record.timestamp
  }

  get operation(): string | undefined {
    return this.#turn.handling?.operation.name
  }

  get correlationId(): Buffer | undefined {
    return this.#turn.correlationId
  }

  get replyTo(): ReplyAddress | undefined {
    return this.#turn.to?.address
  }

  get deadline(): number | undefined {
    return this.#turn.context.deadline
  }

  get attempt(): number {
    return this.#turn.attempt
  }

  get error(): unknown {
    return this.#turn.error
  }

  endLimit(): void {
    this.#turn.run.endLimit()
  }

  get signal(): AbortSignal {
    return this.#turn.context.signal
  }
}
