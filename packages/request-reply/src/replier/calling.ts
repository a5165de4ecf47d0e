/**
 * The part of a request's way that knows its values:
 *
 *     size ─▶ decode ─▶ validate ─▶ middleware and handler ─▶ validate ─▶ encode ─▶ reply
 *       │        │          │                │                    │          │
 *       ▼        ▼          ▼                ▼                    ▼          ▼
 *     MILENA_RECORD_TOO_LARGE …        a ReplyError, or       MILENA_REPLY_INVALID
 *     this delivery did nothing        MILENA_HANDLER_FAILED  the work was done
 */
import {
  decodePayload,
  encodePayload,
  isThenable,
  validatePayload,
  type Encoded,
} from '../contract/coding.ts'
import type { Validated } from '../contract/payload.ts'
import { sendable } from '../contract/sendable.ts'
import { handlerEnded, handlerStarted, handlingTracing, type HandlingStep } from '../diagnostics.ts'
import { listIssues, MilenaError, remoteCodes, ValidationError } from '../errors.ts'
import type { Answers } from './answer.ts'
import { replyErrorFailure, unexpectedFailure, type Failure } from './failures.ts'
import type { ReplierSettings } from './options.ts'
import type { Outcome } from './outcome.ts'
import type { ReplierCounters } from './stats.ts'
import type { Steps } from './steps.ts'
import { traced } from './tracing.ts'
import type { Turn } from './turn.ts'
import type { Warnings } from '../warnings.ts'
import { errorOf, wordsOf } from '../words.ts'

export interface CallingOptions {
  readonly settings: ReplierSettings
  readonly answers: Answers
  readonly counters: ReplierCounters
  readonly steps: Steps
  readonly warnings: Warnings
}

export class Calling {
  readonly #options: CallingOptions

  constructor(options: CallingOptions) {
    this.#options = options
  }

  /**
   * Has the request of a turn that has reached an operation handled. A promise only where a codec, a schema or the handler
   * is asynchronous. Throws, or rejects, for nothing but a fault of the library.
   */
  call(turn: Turn): Outcome | Promise<Outcome> {
    const { record } = turn
    const { maxRequestBytes } = this.#options.settings
    const size = record.value?.length ?? 0
    if (size > maxRequestBytes) {
      const message = `the request's value has ${size} bytes, and at most ${maxRequestBytes} are taken; this delivery did nothing`
      return this.#refuse(turn, { code: remoteCodes.requestTooLarge, message })
    }
    let decoded: unknown
    try {
      decoded = decodePayload(turn.handling!.operation, 'request', record)
    } catch (error) {
      return this.#undecodable(turn, error)
    }
    return decoded instanceof Promise ? this.#decodedLater(turn, decoded) : this.#validate(turn, decoded)
  }

  async #decodedLater(turn: Turn, decoding: Promise<unknown>): Promise<Outcome> {
    let decoded: unknown
    try {
      decoded = await decoding
    } catch (error) {
      return this.#undecodable(turn, error)
    }
    return this.#validate(turn, decoded)
  }

  #validate(turn: Turn, decoded: unknown): Outcome | Promise<Outcome> {
    let checked: Validated<unknown> | Promise<Validated<unknown>>
    try {
      checked = validatePayload(turn.handling!.operation, 'request', decoded)
    } catch (error) {
      return this.#schemaFailed(turn, error)
    }
    return checked instanceof Promise ? this.#validatedLater(turn, checked) : this.#validated(turn, checked)
  }

  async #validatedLater(turn: Turn, checking: Promise<Validated<unknown>>): Promise<Outcome> {
    let checked: Validated<unknown>
    try {
      checked = await checking
    } catch (error) {
      return this.#schemaFailed(turn, error)
    }
    return this.#validated(turn, checked)
  }

  #validated(turn: Turn, checked: Validated<unknown>): Outcome | Promise<Outcome> {
    const { settings } = this.#options
    const { record, context } = turn
    const { operation, handler } = turn.handling!
    if ('issues' in checked) {
      turn.error = new ValidationError('MILENA_REQUEST_INVALID', operation.name, checked.issues)
      const message = `invalid request, this delivery did nothing: ${listIssues(checked.issues)}`
      return this.#refuse(turn, { code: remoteCodes.requestInvalid, message })
    }
    const began = settings.clock.monotonic()
    if (handlerStarted.hasSubscribers) handlerStarted.publish(this.#step(turn))
    let reply: unknown
    try {
      reply = handlingTracing.hasSubscribers
        ? traced({ ...this.#step(turn), headers: record.headers }, handler, checked.value, context)
        : handler(checked.value, context)
      if (isThenable(reply)) return this.#repliedLater(turn, began, reply)
    } catch (error) {
      return this.#handlerFailed(turn, began, error)
    }
    return this.#replied(turn, began, reply)
  }

  /** Of the common handler, the one async function: what it holds while that runs is little. */
  async #repliedLater(turn: Turn, began: number, replying: PromiseLike<unknown>): Promise<Outcome> {
    let reply: unknown
    try {
      reply = await replying
    } catch (error) {
      return this.#handlerFailed(turn, began, error)
    }
    return this.#replied(turn, began, reply)
  }

  #replied(turn: Turn, began: number, reply: unknown): Outcome | Promise<Outcome> {
    this.#ended(turn, began, undefined)
    // Nobody gets it, so it is no failure of the request if it does not match its schema.
    if (turn.to === undefined) return done
    try {
      const checked = sendable(turn.handling!.operation, 'reply', reply)
      if (checked instanceof Promise) return this.#writtenLater(turn, checked)
      const encoded = this.#encode(turn, checked)
      if (encoded instanceof Promise) return this.#writtenLater(turn, encoded)
      return this.#options.answers.reply(turn.record, turn.context, turn.handling, encoded)
    } catch (error) {
      return this.#badReply(turn, error)
    }
  }

  /** @param writing validated, or encoded too */
  async #writtenLater(turn: Turn, writing: Promise<Validated<unknown> | Encoded>): Promise<Outcome> {
    try {
      const written = await writing
      const encoded = 'headers' in written ? written : await this.#encode(turn, written)
      return this.#options.answers.reply(turn.record, turn.context, turn.handling, encoded)
    } catch (error) {
      return this.#badReply(turn, error)
    }
  }

  #encode(turn: Turn, checked: Validated<unknown>): Encoded | Promise<Encoded> {
    const { operation } = turn.handling!
    if ('issues' in checked) throw new ValidationError('MILENA_REPLY_INVALID', operation.name, checked.issues)
    return encodePayload(operation, 'reply', checked.value, turn.to!.address.topic)
  }

  #undecodable(turn: Turn, error: unknown): Outcome {
    turn.error = error
    const message = `${wordsOf(error)}; this delivery did nothing`
    return this.#refuse(turn, { code: remoteCodes.requestUndecodable, message })
  }

  #schemaFailed(turn: Turn, error: unknown): Outcome {
    const { settings, warnings } = this.#options
    turn.error = error
    warnings.tell('the schema of a request failed', { ...this.#step(turn) }, error)
    return this.#refuse(turn, unexpectedFailure(errorOf(error).cause, settings.exposeErrors))
  }

  #handlerFailed(turn: Turn, began: number, error: unknown): Outcome {
    turn.error = error
    const failure = this.#failed(turn, error)
    this.#ended(turn, began, failure)
    return this.#refuse(turn, failure)
  }

  #failed(turn: Turn, thrown: unknown): Failure {
    const said = replyErrorFailure(thrown)
    if (said !== undefined) return said
    switch (turn.context.stopped(thrown)) {
      case 'deadline': {
        const message =
          'the deadline passed while the handler ran, and it stopped; what it had done by then is not known'
        return { code: remoteCodes.deadlineExceeded, message }
      }
      case 'given up':
        break
      default:
        if (turn.run.owned)
          this.#options.warnings.tell('a handler failed', { ...this.#step(turn) }, thrown ?? errorOf(thrown))
    }
    return unexpectedFailure(thrown, this.#options.settings.exposeErrors)
  }

  #ended(turn: Turn, began: number, failure: Failure | undefined): void {
    const { counters, settings } = this.#options
    const duration = settings.clock.monotonic() - began
    counters.handled++
    counters.handlerDurations.record(duration)
    if (handlerEnded.hasSubscribers)
      handlerEnded.publish({ ...this.#step(turn), duration, errorCode: failure?.code })
  }

  /** The work is done, and its reply cannot be sent. */
  #badReply(turn: Turn, error: unknown): Outcome {
    turn.error = error
    this.#options.warnings.tell(
      'a handler has returned what cannot be its reply',
      { ...this.#step(turn) },
      error,
    )
    // Ours say nothing of the value; what `replyHeaders` has thrown may.
    const why = error instanceof MilenaError ? error.message : 'the reply could not be written'
    return this.#refuse(turn, { code: remoteCodes.replyInvalid, message: why, effect: 'done' })
  }

  #refuse(turn: Turn, failure: Failure): Outcome {
    return this.#options.answers.error(turn.record, turn.context, turn.handling, failure)
  }

  #step({ record, attempt, handling }: Turn): HandlingStep {
    return this.#options.steps.at(record, attempt, handling?.operation.name)
  }
}

/** Nothing is to be sent. */
const done: Outcome = { kind: 'done' }
