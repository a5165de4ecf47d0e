/**
 * The part of a request's way that knows its values:
 *
 *     size ─▶ decode ─▶ validate ─▶ middleware and handler ─▶ validate ─▶ encode ─▶ reply
 *       │        │          │                │                    │          │
 *       ▼        ▼          ▼                ▼                    ▼          ▼
 *     MILENA_RECORD_TOO_LARGE …        a ReplyError, or       MILENA_REPLY_INVALID
 *     this delivery did nothing        MILENA_HANDLER_FAILED  the work was done
 */
import { decodePayload, encodePayload, validatePayload } from '../contract/coding.ts'
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
import type { Warnings } from './warnings.ts'
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

  /** Has the request of a turn that has reached an operation handled. Rejects for nothing but a fault of the library. */
  async call(turn: Turn): Promise<Outcome> {
    const { settings, answers, warnings } = this.#options
    const { record, context } = turn
    const { operation, handler } = turn.handling!
    const size = record.value?.length ?? 0
    if (size > settings.maxRequestBytes) {
      const message = `the request's value has ${size} bytes, and at most ${settings.maxRequestBytes} are taken; this delivery did nothing`
      return this.#refuse(turn, { code: remoteCodes.requestTooLarge, message })
    }
    let request: unknown
    try {
      const decoding = decodePayload(operation, 'request', record)
      request = decoding instanceof Promise ? await decoding : decoding
    } catch (error) {
      turn.error = error
      const message = `${wordsOf(error)}; this delivery did nothing`
      return this.#refuse(turn, { code: remoteCodes.requestUndecodable, message })
    }
    try {
      const checking = validatePayload(operation, 'request', request)
      const checked = checking instanceof Promise ? await checking : checking
      if ('issues' in checked) {
        turn.error = new ValidationError('MILENA_REQUEST_INVALID', operation.name, checked.issues)
        const message = `invalid request, this delivery did nothing: ${listIssues(checked.issues)}`
        return this.#refuse(turn, { code: remoteCodes.requestInvalid, message })
      }
      request = checked.value
    } catch (error) {
      turn.error = error
      warnings.tell('the schema of a request failed', { ...this.#step(turn) }, error)
      return this.#refuse(turn, unexpectedFailure(errorOf(error).cause, settings.exposeErrors))
    }
    const began = settings.clock.monotonic()
    if (handlerStarted.hasSubscribers) handlerStarted.publish(this.#step(turn))
    let reply: unknown
    let failure: Failure | undefined
    try {
      reply = await (handlingTracing.hasSubscribers
        ? traced({ ...this.#step(turn), headers: record.headers }, handler, request, context)
        : handler(request, context))
    } catch (error) {
      turn.error = error
      failure = this.#failed(turn, error)
    }
    this.#ended(turn, settings.clock.monotonic() - began, failure)
    if (failure !== undefined) return this.#refuse(turn, failure)
    // Nobody gets it, so it is no failure of the request if it does not match its schema.
    if (turn.to === undefined) return done
    try {
      const checking = sendable(operation, 'reply', reply)
      const checked = checking instanceof Promise ? await checking : checking
      if ('issues' in checked)
        throw new ValidationError('MILENA_REPLY_INVALID', operation.name, checked.issues)
      const encoding = encodePayload(operation, 'reply', checked.value, turn.to.address.topic)
      const encoded = encoding instanceof Promise ? await encoding : encoding
      return answers.reply(record, context, encoded)
    } catch (error) {
      turn.error = error
      return this.#refuse(turn, this.#badReply(turn, error))
    }
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
        if (turn.run.owned) this.#options.warnings.tell('a handler failed', { ...this.#step(turn) }, thrown)
    }
    return unexpectedFailure(thrown, this.#options.settings.exposeErrors)
  }

  #ended(turn: Turn, duration: number, failure: Failure | undefined): void {
    const { counters } = this.#options
    counters.handled++
    counters.handlerDurations.record(duration)
    if (handlerEnded.hasSubscribers)
      handlerEnded.publish({ ...this.#step(turn), duration, errorCode: failure?.code })
  }

  /** The work is done, and its reply cannot be sent. */
  #badReply(turn: Turn, error: unknown): Failure {
    this.#options.warnings.tell(
      'a handler has returned what cannot be its reply',
      { ...this.#step(turn) },
      error,
    )
    // Ours say nothing of the value; what `replyHeaders` has thrown may.
    const why = error instanceof MilenaError ? error.message : 'the reply could not be written'
    return { code: remoteCodes.replyInvalid, message: why, effect: 'done' }
  }

  #refuse(turn: Turn, failure: Failure): Outcome {
    return this.#options.answers.error(turn.record, turn.context, failure)
  }

  #step({ record, attempt, handling }: Turn): HandlingStep {
    return this.#options.steps.at(record, attempt, handling?.operation.name)
  }
}

/** Nothing is to be sent. */
const done: Outcome = { kind: 'done' }
