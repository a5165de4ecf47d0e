import type { IncomingRecord } from '../transport/transport.ts'
import { MessageHeaders } from '../wire/headers.ts'
import type { ReplyAddress } from '../wire/profile.ts'
import type { Addressee } from './addressee.ts'
import type { RequestContext } from './context.ts'
import type { HandledTopic, Handling } from './dispatch.ts'
import type { Outcome } from './outcome.ts'
import type { RawRequest } from './raw-request.ts'
import type { ReplierParts } from './extension.ts'
import type { Handled, RequestRun } from './run.ts'

/** One try to handle a record: what was found out of it so far, and in the end its outcome. */
export class Turn implements Handled {
  readonly run: RequestRun
  readonly record: IncomingRecord
  readonly topic: HandledTopic
  readonly attempt: number
  readonly correlationId: Buffer | undefined
  readonly to: Addressee | undefined
  readonly handling: Handling | undefined
  readonly context: RequestContext
  /** Why it goes no further than the record middleware. */
  readonly refused: Outcome | undefined
  outcome: Outcome | Promise<Outcome>
  /** What the handler, or a middleware, has thrown; until this try is made, at the one before. */
  error: unknown

  constructor(
    run: RequestRun,
    topic: HandledTopic,
    correlationId: Buffer | undefined,
    to: Addressee | undefined,
    handling: Handling | undefined,
    context: RequestContext,
    refused: Outcome | undefined,
  ) {
    this.run = run
    this.record = run.record
    this.attempt = topic.place + run.attempt
    this.topic = topic
    this.error = run.thrown
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
  readonly replier: ReplierParts
  readonly #turn: Turn
  #headers: MessageHeaders | undefined

  constructor(turn: Turn, replier: ReplierParts) {
    this.#turn = turn
    this.replier = replier
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

  get base(): string {
    return this.#turn.topic.base
  }

  get place(): number {
    return this.#turn.topic.place
  }

  get attempt(): number {
    return this.#turn.attempt
  }

  get error(): unknown {
    return this.#turn.error
  }

  get owned(): boolean {
    return this.#turn.run.owned && !this.#turn.context.abandoned
  }

  get overdue(): boolean {
    return this.#turn.run.overdue
  }

  endLimit(): void {
    this.#turn.run.endLimit()
  }

  get signal(): AbortSignal {
    return this.#turn.context.signal
  }
}
