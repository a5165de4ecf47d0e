/**
 * Dead letters, at the replier: what cannot be done is kept for a person to look at.
 *
 *     next() ──▶ reply, done, later, stop … ──────────────────────────────▶ as it is
 *        └─────▶ error, passed over ── an answer? (which.ts) ─────────────▶ as it is
 *                                   └─ a letter ──▶ written ──▶ error MILENA_DEAD_LETTERED, or passed over: dead-lettered
 *                                        ▲              └──▶ not written ──▶ stop: the partition stands still
 *                                        └───── its turn again, without next() ◀──────┘
 */
import { OptionsError, remoteCodes } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import type { ReplierExtension, ReplierOpening } from '../replier/extension.ts'
import type { Outcome } from '../replier/outcome.ts'
import type { RawRequest } from '../replier/raw-request.ts'
import { depths, type RecordMiddleware } from '../replier/record-middleware.ts'
import type { IncomingRecord, RecordPosition } from '../transport/transport.ts'
import { replayOfName } from '../wire/dead-letter.ts'
import { lastHeader } from '../wire/headers.ts'
import { errorOf, saidWord } from '../words.ts'
import { originOf } from '../retry/origin.ts'
import type { LetterCause, LetterDetail } from './letter-headers.ts'
import { LetterWriter, usualLetterTopic, type Letter, type LetterTopic } from './letter-writer.ts'
import { isUsuallyLetter, type FailedOutcome, type WhichLetters } from './which.ts'

export interface DeadLetterOptions {
  /** Names the dead-letter topic of a request topic; default `<topic>-dlt`. */
  readonly topic?: LetterTopic
  /** Which failures become letters; default: what went wrong, and not what was answered (`docs/dead-letters.md`). */
  readonly which?: WhichLetters
  /** How much of an error a letter has; default `stack`. Operators read it, and whoever else may read the topic. */
  readonly detail?: LetterDetail
}

const known = new Set(['topic', 'which', 'detail'])

/**
 * Record middleware that writes what has failed to a dead-letter topic: the record with its key, its value and its headers
 * as they came, on the same partition number where the topic has it, and with Spring's `kafka_dlt-*` headers. It belongs
 * outside of retries and inside of stored replies. One for each replier; it may stand before several of its operations.
 *
 * **Guarantee**: a record that it has to keep is committed only when all in-sync replicas of the dead-letter topic have it.
 * Until then its partition stands still (`health()`), and goes on by itself; its handler does not run again for that.
 *
 * **Not guaranteed**: that there is one letter only. A process that dies between the letter and the commit leaves the record
 * to the next one, which may fail again, or succeed. A request that `handlerTimeout` has answered is not kept before its
 * handler ends, and a stretch of a log that cannot be read has no bytes to be kept.
 *
 * @throws OptionsError that lists every problem.
 */
export function deadLetter(options: DeadLetterOptions = {}): RecordMiddleware {
  const problems = unknownOptions('deadLetter', options, known)
  const { topic = usualLetterTopic, which, detail = 'stack' } = options
  if (typeof topic !== 'function') problems.push('topic must be a function that names a topic')
  if (which !== undefined && typeof which !== 'function') problems.push('which must be a function')
  if (!['stack', 'message', 'class'].includes(detail))
    problems.push(`detail must be 'stack', 'message' or 'class', not ${saidWord(detail)}`)
  if (problems.length > 0) throw new OptionsError('deadLetter', problems)
  const keeping = new Keeping(topic, which, detail)
  const middleware: RecordMiddleware = (request, next) => keeping.handle(request, next)
  return Object.defineProperty(
    Object.assign(middleware, { extension: keeping, depth: depths.deadLetter }),
    'name',
    {
      value: 'deadLetter',
    },
  )
}

/** A letter, and what is said of its record when it is written. */
interface Kept extends Letter {
  readonly outcome: FailedOutcome
}

class Keeping implements ReplierExtension {
  readonly #topic: LetterTopic
  readonly #which: WhichLetters | undefined
  readonly #detail: LetterDetail
  #isOpen = false
  /** Kept when it is closed: a handler may end after that. */
  #opening: ReplierOpening | undefined
  #writer: LetterWriter | undefined
  /** What is still to be written: the same record object comes at every turn of a record. */
  readonly #unwritten = new WeakMap<IncomingRecord, Kept>()

  constructor(topic: LetterTopic, which: WhichLetters | undefined, detail: LetterDetail) {
    this.#topic = topic
    this.#which = which
    this.#detail = detail
  }

  async open(opening: ReplierOpening): Promise<void> {
    if (this.#isOpen)
      throw new OptionsError('deadLetter', ['it belongs to a replier already: make one for each'])
    this.#isOpen = true
    this.#opening = opening
    this.#writer = await LetterWriter.open(opening, this.#topic, this.#detail)
  }

  close(): void {
    this.#isOpen = false
  }

  async handle(request: RawRequest, next: () => Promise<Outcome>): Promise<Outcome> {
    const { record } = request
    let kept = this.#unwritten.get(record)
    if (kept === undefined) {
      const outcome = await next()
      if (outcome.kind !== 'error' && outcome.kind !== 'passed over') return outcome
      // Whoever has the partition by now gets the record.
      if (!request.owned && !request.overdue) return outcome
      if (!this.#isLetter(outcome, request)) return outcome
      kept = this.#letterOf(outcome, request)
      this.#unwritten.set(record, kept)
    }
    // What follows is bounded by itself, and must not be cut off: the record would be committed without its letter.
    request.endLimit()
    try {
      const position = await this.#writer!.write(kept)
      this.#unwritten.delete(record)
      return told(kept.outcome, position, request.replyTo !== undefined)
    } catch (error) {
      if (request.overdue) {
        const { topic, partition, offset } = request
        const what = 'a request has failed after handlerTimeout had answered it, and could not be kept'
        this.#opening!.warn(what, { topic, partition, offset }, error)
      }
      return { kind: 'stop', error: errorOf(error) }
    }
  }

  #isLetter(outcome: FailedOutcome, request: RawRequest): boolean {
    const usual = isUsuallyLetter(outcome, {
      retried: request.attempt > 1,
      answered: request.replyTo !== undefined,
      begun: request.error !== undefined,
      replayed: lastHeader(request.record.headers, replayOfName) !== undefined,
      ignoresUnknown: this.#opening!.unknownOperations === 'ignore',
    })
    if (this.#which === undefined) return usual
    try {
      return this.#which(outcome, request, usual)
    } catch (error) {
      const { topic, partition, offset } = request
      this.#opening!.warn(
        'which of deadLetter has failed; the usual is done',
        { topic, partition, offset },
        error,
      )
      return usual
    }
  }

  #letterOf(outcome: FailedOutcome, request: RawRequest): Kept {
    const { record, base, operation, attempt, error } = request
    const isError = outcome.kind === 'error'
    const cause = {
      operation,
      group: request.replier.groupId,
      attempts: attempt,
      code: isError ? outcome.code : outcome.reason,
      message: isError ? outcome.message : outcome.detail,
      effect: isError ? outcome.effect : undefined,
      thrown: error,
      origin: placeOf(request),
    }
    return { record, base, cause, outcome, writing: undefined }
  }
}

/**
 * Where the request stood first. Of one that has come over retry topics the topic is certain, and its place there is what
 * its headers say: offset −1 where they say nothing.
 */
function placeOf(request: RawRequest): LetterCause['origin'] {
  const { topic, partition, offset, timestamp } = originOf(request)
  return {
    topic,
    partition: partition ?? request.partition,
    offset: offset ?? -1,
    timestamp: timestamp ?? request.timestamp,
  }
}

/** What becomes of a record whose letter is written. */
function told(
  outcome: FailedOutcome,
  { topic, partition, offset }: RecordPosition,
  isAnswered: boolean,
): Outcome {
  const why =
    outcome.kind === 'error' ? `${outcome.code}: ${outcome.message}` : `${outcome.reason}: ${outcome.detail}`
  if (!isAnswered || outcome.kind === 'passed over')
    return {
      kind: 'passed over',
      reason: 'dead-lettered',
      detail: `${why}; kept at ${topic}/${partition}/${offset}`,
    }
  const { effect, headers } = outcome
  return {
    kind: 'error',
    code: remoteCodes.deadLettered,
    message: `given up, and kept as a dead letter: ${why}`,
    effect,
    headers,
  }
}
