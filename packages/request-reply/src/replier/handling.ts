/**
 * A request's way through the replier, from the record that was read to the reply that is to be sent.
 *
 *     record ─▶ correlation id, reply address ─▶ operation ─▶ deadline ─▶ decode, validate ─▶ handler
 *                 │ none, or not allowed            │            │            │                 │
 *                 ▼                                 ▼            ▼            ▼                 ▼
 *              passed over                      error reply  error reply  error reply   reply | error reply
 */
import type { AnyOperation } from '../contract/operation.ts'
import { validate } from '../contract/payload.ts'
import { handlerEnded, handlerStarted, type HandlingStep } from '../diagnostics.ts'
import { remoteCodes, ReplyError, type ValidationIssue } from '../errors.ts'
import type { IncomingRecord } from '../transport/transport.ts'
import { readDeadline } from '../wire/milena.ts'
import { Answers, type Addressee } from './answer.ts'
import { RequestContext } from './context.ts'
import { findHandling, type HandledTopic, type Handling } from './dispatch.ts'
import type { ReplierSettings } from './options.ts'
import type { Handled, Outcome, RequestRun } from './outcome.ts'
import type { PassedOverReason, ReplierCounters } from './stats.ts'
import type { Warnings } from './warnings.ts'

/** An error reply's code and message. */
class Refusal {
  readonly code: string
  readonly message: string

  constructor(code: string, message: string) {
    this.code = code
    this.message = message
  }
}

export interface RequestHandlerOptions {
  readonly settings: ReplierSettings
  readonly topics: ReadonlyMap<string, HandledTopic>
  readonly answers: Answers
  readonly counters: ReplierCounters
  readonly warnings: Warnings
}

export class RequestHandler {
  readonly #settings: ReplierSettings
  readonly #topics: ReadonlyMap<string, HandledTopic>
  readonly #answers: Answers
  readonly #counters: ReplierCounters
  readonly #warnings: Warnings

  constructor(options: RequestHandlerOptions) {
    this.#settings = options.settings
    this.#topics = options.topics
    this.#answers = options.answers
    this.#counters = options.counters
    this.#warnings = options.warnings
  }

  /** Throws, or rejects, for nothing but a fault of the library itself. A promise only where the handler is called. */
  handle(run: RequestRun): Handled | Promise<Handled> {
    const { record } = run
    const asked = this.#settings.profile.readReplyRequest(record.headers)
    if (typeof asked === 'string') return passedOver('unanswerable', asked)
    const { correlationId } = asked
    const topic = this.#topics.get(record.topic)!
    const found = this.#find(topic, record)
    const address = asked.address ?? ('operation' in found ? found.replyTo : undefined)
    if (address === undefined) {
      return passedOver('no-reply-address', 'it names no reply topic, and its operation has no replyTo')
    }
    if (!topic.replyTopics.allows(address.topic)) {
      return passedOver(
        'reply-topic-refused',
        `its reply topic ${JSON.stringify(address.topic)} is not allowed; the option replyTopics lists those that are`,
      )
    }
    if (found instanceof Refusal) {
      const to: Addressee = { record, correlationId, address, context: undefined }
      return { outcome: this.#answers.error(record, undefined, found), to, handling: undefined }
    }
    const deadline = readDeadline(record.headers)
    const name = found.operation.name
    const { clock } = this.#settings
    const context = new RequestContext(name, record, correlationId, deadline, clock, run.abortable)
    const to: Addressee = { record, correlationId, address, context }
    run.reached(found, to, context)
    return this.#run(found, to, context).then((outcome) => ({ outcome, to, handling: found }))
  }

  #find(topic: HandledTopic, record: IncomingRecord): Handling | Refusal {
    try {
      const found = findHandling(topic, record, this.#settings.select)
      return typeof found === 'string' ? new Refusal(remoteCodes.operationUnknown, found) : found
    } catch (error) {
      this.#warnings.tell('select failed', coordinates(record), error)
      return this.#unexpected(error)
    }
  }

  /** Decodes and validates the request, calls the handler, validates and encodes its reply. */
  async #run(handling: Handling, to: Addressee, context: RequestContext): Promise<Outcome> {
    const { operation, handler } = handling
    const { clock } = this.#settings
    if (context.deadline !== undefined && clock.now() > context.deadline) {
      const message = 'the deadline had passed before the work began; it was not done'
      return this.#refuse(to, context, new Refusal(remoteCodes.deadlineExceeded, message))
    }
    let decoded: unknown
    try {
      decoded = operation.request.decode(to.record.value)
    } catch (error) {
      const message = `the request is ${(error as Error).message}`
      return this.#refuse(to, context, new Refusal(remoteCodes.requestUndecodable, message))
    }
    let request: unknown
    try {
      const checking = validate(operation.request.schema, decoded)
      const checked = checking instanceof Promise ? await checking : checking
      if ('issues' in checked)
        return this.#refuse(
          to,
          context,
          new Refusal(remoteCodes.requestInvalid, `invalid request: ${list(checked.issues)}`),
        )
      request = checked.value
    } catch (error) {
      this.#warnings.tell('the schema of a request failed', this.#step(to, operation.name), error)
      return this.#refuse(to, context, this.#unexpected(error))
    }
    if (handlerStarted.hasSubscribers) handlerStarted.publish(this.#step(to, operation.name))
    const began = clock.monotonic()
    let reply: unknown
    let failure: Refusal | undefined
    try {
      reply = await handler(request, context)
    } catch (error) {
      failure = this.#failed(error, to, context)
    }
    this.#ended(to, context, clock.monotonic() - began, failure)
    if (failure !== undefined) return this.#refuse(to, context, failure)
    try {
      const checking = validate(operation.reply.schema, reply)
      const checked = checking instanceof Promise ? await checking : checking
      if (!('issues' in checked)) return this.#reply(to, operation, reply)
      return this.#refuse(
        to,
        context,
        this.#badReply(to, operation.name, `invalid reply: ${list(checked.issues)}`),
      )
    } catch (error) {
      return this.#refuse(
        to,
        context,
        this.#badReply(to, operation.name, 'the schema of the reply failed', error),
      )
    }
  }

  #failed(error: unknown, to: Addressee, context: RequestContext): Refusal {
    if (error instanceof ReplyError) {
      // Whoever does without types may have given it a number.
      const code = error.code as string | number | undefined
      return new Refusal(String(code || remoteCodes.handlerFailed), error.message)
    }
    if (!context.abandoned) this.#warnings.tell('a handler failed', this.#step(to, context.operation), error)
    return this.#unexpected(error)
  }

  #ended(to: Addressee, context: RequestContext, duration: number, failure: Refusal | undefined): void {
    context.release()
    this.#counters.handled++
    this.#counters.handlerDurations.record(duration)
    if (handlerEnded.hasSubscribers) {
      handlerEnded.publish({ ...this.#step(to, context.operation), duration, errorCode: failure?.code })
    }
  }

  /** A handler that was told to stop has not failed: an error reply would be wrong once it is handled elsewhere. */
  #refuse(to: Addressee, context: RequestContext, { code, message }: Refusal): Outcome {
    if (context.abandoned) return { kind: 'abandoned' }
    return this.#answers.error(to.record, context, { code, message })
  }

  /** The work is done; what can still go wrong is said by `MILENA_REPLY_INVALID`. */
  #reply(to: Addressee, { name, reply: payload }: AnyOperation, reply: unknown): Outcome {
    try {
      return this.#answers.reply(to.record, to.context, payload.encode(reply as never))
    } catch (error) {
      const refusal = this.#badReply(to, name, 'the reply could not be written', error)
      return this.#answers.error(to.record, to.context, refusal)
    }
  }

  #badReply(to: Addressee, operation: string, message: string, error?: unknown): Refusal {
    this.#warnings.tell('a handler has returned what cannot be its reply', this.#step(to, operation), error)
    return new Refusal(remoteCodes.replyInvalid, message)
  }

  /** What the requester is told of an error that was not meant for it. */
  #unexpected(error: unknown): Refusal {
    if (!this.#settings.exposeErrors) {
      return new Refusal(remoteCodes.handlerFailed, 'the handler failed; see the log of the replier')
    }
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return new Refusal(remoteCodes.handlerFailed, message)
  }

  #step(to: Addressee, operation: string): HandlingStep & Readonly<Record<string, unknown>> {
    const { groupId } = this.#settings
    return {
      operation,
      correlationId: to.correlationId.toString('hex'),
      groupId,
      position: coordinates(to.record),
      bytes: to.record.size,
      timestamp: to.record.timestamp,
      attempt: 1,
    }
  }
}

function passedOver(reason: PassedOverReason, detail: string): Handled {
  return { outcome: { kind: 'passed over', reason, detail }, to: undefined, handling: undefined }
}

export function coordinates({ topic, partition, offset }: IncomingRecord): {
  topic: string
  partition: number
  offset: number
} {
  return { topic, partition, offset }
}

function list(issues: readonly ValidationIssue[]): string {
  return issues.map(({ path, message }) => `${path || '(the value)'}: ${message}`).join('; ')
}
