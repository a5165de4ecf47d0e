/**
 * The first step of a record's way: who asks, what for, and where the answer goes.
 *
 *     neither correlation id nor reply address ──▶ one-way: handled, and nothing is sent
 *     an address and no id, a malformed header ──▶ unanswerable      ┐
 *     an address that is not allowed           ──▶ refused           ├ passed over, once record middleware has seen it
 *     an operation that has no handler here    ──▶ error reply, or   ┘
 */
import { remoteCodes } from '../errors.ts'
import type { Addressee } from './addressee.ts'
import type { Answers } from './answer.ts'
import { RequestContext } from './context.ts'
import type { Deadlines } from './deadlines.ts'
import { findHandling, type HandledTopic, type Handling } from './dispatch.ts'
import { replyErrorFailure, unexpectedFailure, type Failure } from './failures.ts'
import type { ReplierSettings } from './options.ts'
import type { Outcome } from './outcome.ts'
import type { RequestRun } from './run.ts'
import type { PassedOverReason } from './stats.ts'
import type { Steps } from './steps.ts'
import { Turn } from './turn.ts'
import type { Warnings } from '../warnings.ts'

export interface ArrivalsOptions {
  readonly settings: ReplierSettings
  readonly topics: ReadonlyMap<string, HandledTopic>
  readonly answers: Answers
  readonly deadlines: Deadlines
  readonly steps: Steps
  readonly warnings: Warnings
}

/** No operation was found: why, as an error reply. */
class NotFound {
  readonly failure: Failure
  readonly error: unknown

  constructor(failure: Failure, error?: unknown) {
    this.failure = failure
    this.error = error
  }
}

export class Arrivals {
  readonly #options: ArrivalsOptions

  constructor(options: ArrivalsOptions) {
    this.#options = options
  }

  take(run: RequestRun, now: number): Turn {
    const { settings, topics, deadlines } = this.#options
    const { record } = run
    const asked = settings.profile.readReplyRequest(record.headers)
    const topic = topics.get(record.topic)!
    const found = this.#find(topic, run)
    const handling = found instanceof NotFound ? undefined : found
    const correlationId = typeof asked === 'object' ? asked.correlationId : undefined
    // A retry topic's record came into its log later than the request did.
    const appendedAfter = topic.place === 0 ? run.appendedAfter : undefined
    const { receivedAt } = run
    const deadline = deadlines.of(record.headers, { receivedAt, appendedAfter }, now, run.beganAt)
    const name = handling?.operation.name ?? ''
    const context = new RequestContext(
      name,
      record,
      correlationId,
      deadline,
      settings,
      run.abortable,
      topic.place + run.attempt,
    )
    if (typeof asked === 'string')
      return new Turn(run, topic, undefined, undefined, handling, context, passedOver('unanswerable', asked))
    const address = asked && (asked.address ?? handling?.replyTo)
    if (address !== undefined && !topic.replyTopics.allows(address.topic)) {
      const why = `its reply topic ${JSON.stringify(address.topic)} is not allowed; the option replyTopics lists those that are`
      const refused = passedOver('reply-topic-refused', why)
      return new Turn(run, topic, correlationId, undefined, handling, context, refused)
    }
    const to: Addressee | undefined = address &&
      correlationId && { record, correlationId, address, context: handling && context }
    if (!(found instanceof NotFound))
      return new Turn(run, topic, correlationId, to, found, context, undefined)
    const turn = new Turn(run, topic, correlationId, to, undefined, context, this.#notFound(found, run, to))
    turn.error = found.error
    return turn
  }

  #find(topic: HandledTopic, { record, attempt }: RequestRun): Handling | NotFound {
    const { settings, steps, warnings } = this.#options
    try {
      const found = findHandling(topic, record, settings.select)
      if (typeof found !== 'string') return found
      const message = `${found}; this delivery did nothing`
      return new NotFound({ code: remoteCodes.operationUnknown, message })
    } catch (error) {
      warnings.tell('select failed', { ...steps.at(record, attempt) }, error)
      return new NotFound(replyErrorFailure(error) ?? unexpectedFailure(error, settings.exposeErrors), error)
    }
  }

  #notFound({ failure }: NotFound, { record }: RequestRun, to: Addressee | undefined): Outcome {
    const isUnknown = failure.code === remoteCodes.operationUnknown
    const silent = to === undefined || this.#options.settings.unknownOperations === 'ignore'
    if (isUnknown && silent) return passedOver('operation-unknown', failure.message)
    return this.#options.answers.error(record, undefined, undefined, failure)
  }
}

function passedOver(reason: PassedOverReason, detail: string): Outcome {
  return { kind: 'passed over', reason, detail }
}
