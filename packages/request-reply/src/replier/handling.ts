/**
 * A request's way through the replier, from the record that was read to the reply that is to be sent.
 *
 *     record ─▶ correlation id, reply address ─▶ operation ─▶ deadline ─▶ decode, validate ─▶ handler
 *                 │ none, or not allowed            │            │            │                 │
 *                 ▼                                 ▼            ▼            ▼                 ▼
 *              passed over                      error reply  error reply  error reply   reply | error reply
 */
import { validate } from '../contract/payload.ts'
import { handlerEnded, handlerStarted, type HandlingStep } from '../diagnostics.ts'
import { remoteCodes, ReplyError, type ValidationIssue } from '../errors.ts'
import type { IncomingRecord } from '../transport/transport.ts'
import { readDeadline } from '../wire/milena.ts'
import { Answers, type Addressee, type Answer } from './answer.ts'
import { RequestContext } from './context.ts'
import { findHandling, type HandledTopic, type Handling } from './dispatch.ts'
import type { ReplierSettings } from './options.ts'
import type { PartitionWork } from './partition-work.ts'
import type { PassedOverReason, ReplierCounters } from './stats.ts'
import type { Warnings } from './warnings.ts'

/** A record that cannot be answered, and why. */
export interface PassedOver {
  readonly reason: PassedOverReason
  readonly detail: string
}

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

  /** Never rejects but for a fault of the library itself. */
  async handle(record: IncomingRecord, work: PartitionWork): Promise<Answer | PassedOver | 'abandoned'> {
    const asked = this.#settings.profile.readReplyRequest(record.headers)
    if (typeof asked === 'string') return { reason: 'unanswerable', detail: asked }
    const { correlationId } = asked
    const topic = this.#topics.get(record.topic)!
    const found = this.#find(topic, record)
    const address = asked.address ?? ('operation' in found ? found.replyTo : undefined)
    if (address === undefined) {
      return {
        reason: 'no-reply-address',
        detail: 'it names no reply topic, and its operation has no replyTo',
      }
    }
    if (!topic.replyTopics.allows(address.topic)) {
      return {
        reason: 'reply-topic-refused',
        detail: `its reply topic ${JSON.stringify(address.topic)} is not allowed; the option replyTopics lists those that are`,
      }
    }
    if (found instanceof Refusal) {
      const to: Addressee = { record, correlationId, address, context: undefined }
      return this.#answers.error(to, undefined, found.code, found.message)
    }
    const deadline = readDeadline(record.headers)
    const name = found.operation.name
    const { clock } = this.#settings
    const context = new RequestContext(name, record, correlationId, deadline, clock, work.abortable)
    const to: Addressee = { record, correlationId, address, context }
    const outcome = await this.#run(found, to, context)
    if (!(outcome instanceof Refusal)) return this.#reply(to, found, outcome)
    // A handler that was told to stop has not failed: an error reply would be wrong once it is handled elsewhere.
    if (context.abandoned) return 'abandoned'
    return this.#answers.error(to, name, outcome.code, outcome.message)
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

  /** Decodes and validates the request, calls the handler, validates its reply. */
  async #run(
    handling: Handling,
    to: Addressee,
    context: RequestContext,
  ): Promise<{ reply: unknown } | Refusal> {
    const { operation } = handling
    if (context.deadline !== undefined && this.#settings.clock.now() > context.deadline) {
      return new Refusal(
        remoteCodes.deadlineExceeded,
        'the deadline had passed before the work began; it was not done',
      )
    }
    let decoded: unknown
    try {
      decoded = operation.request.decode(to.record.value)
    } catch (error) {
      return new Refusal(remoteCodes.requestUndecodable, `the request is ${(error as Error).message}`)
    }
    let request: unknown
    try {
      const checking = validate(operation.request.schema, decoded)
      const checked = checking instanceof Promise ? await checking : checking
      if ('issues' in checked)
        return new Refusal(remoteCodes.requestInvalid, `invalid request: ${list(checked.issues)}`)
      request = checked.value
    } catch (error) {
      this.#warnings.tell('the schema of a request failed', this.#step(to, operation.name), error)
      return this.#unexpected(error)
    }
    const outcome = await this.#call(handling, to, context, request)
    if (outcome instanceof Refusal) return outcome
    try {
      const checking = validate(operation.reply.schema, outcome.reply)
      const checked = checking instanceof Promise ? await checking : checking
      if (!('issues' in checked)) return outcome
      return this.#badReply(to, operation.name, `invalid reply: ${list(checked.issues)}`)
    } catch (error) {
      return this.#badReply(to, operation.name, 'the schema of the reply failed', error)
    }
  }

  async #call(
    handling: Handling,
    to: Addressee,
    context: RequestContext,
    request: unknown,
  ): Promise<{ reply: unknown } | Refusal> {
    const { clock } = this.#settings
    if (handlerStarted.hasSubscribers) handlerStarted.publish(this.#step(to, context.operation))
    const began = clock.monotonic()
    let outcome: { reply: unknown } | Refusal
    try {
      outcome = { reply: await handling.handler(request, context) }
    } catch (error) {
      if (error instanceof ReplyError) {
        // Whoever does without types may have given it a number.
        const code = error.code as string | number | undefined
        outcome = new Refusal(String(code || remoteCodes.handlerFailed), error.message)
      } else {
        if (!context.abandoned)
          this.#warnings.tell('a handler failed', this.#step(to, context.operation), error)
        outcome = this.#unexpected(error)
      }
    }
    context.release()
    const duration = clock.monotonic() - began
    this.#counters.handled++
    this.#counters.handlerDurations.record(duration)
    if (handlerEnded.hasSubscribers) {
      const errorCode = outcome instanceof Refusal ? outcome.code : undefined
      handlerEnded.publish({ ...this.#step(to, context.operation), duration, errorCode })
    }
    return outcome
  }

  /** The work is done; what can still go wrong is said by `MILENA_REPLY_INVALID`. */
  #reply(to: Addressee, { operation }: Handling, outcome: { reply: unknown }): Answer {
    try {
      return this.#answers.reply(to, operation.name, operation.reply.encode(outcome.reply as never))
    } catch (error) {
      const refusal = this.#badReply(to, operation.name, 'the reply could not be written', error)
      return this.#answers.error(to, operation.name, refusal.code, refusal.message)
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
    }
  }
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
