/**
 * The replier: reads requests as a member of a consumer group, handles them, and answers.
 *
 *     new ── start ──▶ starting ──▶ running ── close ──▶ closing ──▶ closed
 *      ▲                  │ failed
 *      └──────────────────┘                 (each partition's own states: `partition-work.ts`)
 *
 * A request's reply is acknowledged by the brokers before its offset is committed, and a commit never passes a request
 * that is not finished. So whatever ends the process, a request is answered, or comes again: at least once, in order
 * for each key.
 */
import type { AnyOperation, Operation } from '../contract/operation.ts'
import { MilenaError, OptionsError } from '../errors.ts'
import { closeTimeout } from '../given.ts'
import { openTransport, type OpenedTransport } from '../transport/open.ts'
import type { Transport } from '../transport/transport.ts'
import { requireTopic } from '../transport/topics.ts'
import type { HandlerContext } from './context.ts'
import type { HandleOptions } from './dispatch.ts'
import type { ReplierParts } from './extension.ts'
import type { Extensions } from './extensions.ts'
import { Answers } from './answer.ts'
import { RequestHandler } from './handling.ts'
import { GroupWork } from './group-work.ts'
import type { ReplierHealth } from './health.ts'
import { errorOf } from '../words.ts'
import type { AddedBy, AnyHandler, Middleware } from './middleware.ts'
import type { AddedByRecords, RecordMiddleware } from './record-middleware.ts'
import { readReplierOptions, type ReplierOptions, type ReplierSettings } from './options.ts'
import { Registry } from './registry.ts'
import { ReplierCounters, type ReplierStats } from './stats.ts'
import { Warnings } from '../warnings.ts'

/**
 * Does the work of a request and returns its reply. What it throws is the error reply: a `ReplyError` with its code and
 * message, anything else as `MILENA_HANDLER_FAILED`.
 */
export type Handler<Request, Reply, Added extends object = object> = (
  request: Request,
  context: HandlerContext & Added,
) => Promise<Reply> | Reply

/** `Added`: what its middleware adds to the context of every handler. */
export interface Replier<Added extends object = object> extends AsyncDisposable {
  /**
   * Has an operation's requests handled. One topic may have several operations.
   *
   * @throws OptionsError `MILENA_OPTIONS_INVALID`: the operation has a handler already, or the replier was started.
   */
  handle<
    RequestInput,
    RequestOutput,
    ReplyInput,
    ReplyOutput,
    const Used extends readonly unknown[] = readonly unknown[],
    const UsedRecords extends readonly unknown[] = readonly unknown[],
  >(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    // The operation says what a reply is: else an incomplete one would widen it. Around the whole, for of a `NoInfer` reply
    // alone the literals ('approved') become strings.
    handler: NoInfer<Handler<RequestOutput, ReplyInput, Added & AddedBy<Used> & AddedByRecords<UsedRecords>>>,
    options?: HandleOptions<Used, UsedRecords>,
  ): void
  /**
   * Wraps every handler, those of earlier calls of `handle` too; the first one given is outermost.
   *
   * @returns this replier, by its type with what the middleware adds to the context
   * @throws OptionsError once the replier was started.
   */
  use<More extends object>(middleware: Middleware<More>): Replier<Added & More>
  /**
   * Stands before everything that is done with a record, of any operation or none; the first one given is outermost.
   *
   * @returns this replier, by its type with what the middleware adds to the context
   * @throws OptionsError once the replier was started.
   */
  useRecords<More extends object>(middleware: RecordMiddleware<More>): Replier<Added & More>
  /**
   * Joins the group. Resolves when the assigned partitions are at their positions; requests are handled from then on.
   * After a failure it can be called again.
   *
   * @throws OptionsError `MILENA_OPTIONS_INVALID`: nothing is handled, or a reply address cannot be.
   * @throws TransportError `MILENA_BROKER_UNREACHABLE`, `MILENA_TOPIC_MISSING` (a request topic), `MILENA_NOT_AUTHORIZED`, …
   * @throws MilenaError `MILENA_CLOSED`
   */
  start(): Promise<void>
  stats(): ReplierStats
  /** How it is now: what lasts, since when and why. */
  health(): ReplierHealth
  /**
   * Takes no more requests, waits up to `timeout` ms (default `drainTimeout`; `Infinity`: however long they take) for
   * running handlers and their replies,
   * commits, leaves the group, and closes the transport if it opened it. What is not finished by then is told so by its
   * `signal`, and is handled again by another replier. Later calls wait for the first.
   *
   * @throws OptionsError `MILENA_OPTIONS_INVALID`: `timeout` is no number from 0 on.
   */
  close(options?: { readonly timeout?: number }): Promise<void>
}

/**
 * Makes a replier; `start()` lets it begin.
 *
 * @throws OptionsError `MILENA_OPTIONS_INVALID`, listing every problem.
 */
export function createReplier(options: ReplierOptions): Replier {
  return new GroupReplier(options, readReplierOptions(options))
}

/** How many partitions a request topic gets that is made by `createTopics: true`. */
const developmentPartitions = 6

class GroupReplier implements Replier {
  readonly #options: ReplierOptions
  readonly #settings: ReplierSettings
  readonly #registry: Registry
  readonly #counters = new ReplierCounters()
  readonly #warnings: Warnings
  #opened: OpenedTransport | undefined
  #group: GroupWork | undefined
  #extensions: Extensions | undefined
  #starting: Promise<void> | undefined
  #closing: Promise<void> | undefined
  readonly #abort = new AbortController()

  constructor(options: ReplierOptions, settings: ReplierSettings) {
    this.#options = options
    this.#settings = settings
    this.#registry = new Registry(settings.reserved)
    this.#warnings = new Warnings({
      who: `replier of group ${settings.groupId}`,
      always: { groupId: settings.groupId },
      logger: settings.logger,
      clock: settings.clock,
    })
  }

  handle(operation: unknown, handler: unknown, options: HandleOptions = {}): void {
    this.#refuseOnceStarted('handle')
    this.#registry.add(operation as AnyOperation, handler as AnyHandler, options)
  }

  use<More extends object>(middleware: Middleware<More>): Replier<More> {
    this.#refuseOnceStarted('use')
    this.#registry.use(middleware)
    // Its type says what a context has when a handler is called, and that is now so.
    return this as Replier
  }

  useRecords<More extends object>(middleware: RecordMiddleware<More>): Replier<More> {
    this.#refuseOnceStarted('useRecords')
    this.#registry.useRecords(middleware)
    return this as Replier
  }

  start(): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(this.#closed())
    this.#starting ??= this.#start()
    return this.#starting
  }

  stats(): ReplierStats {
    const { groupId } = this.#settings
    const { received, redelivered, handled, retried, handedOver, replied, committed } = this.#counters
    const { commitFailures, leftBehind, repeated, clockDisagreements } = this.#counters
    const group = this.#group
    return {
      groupId,
      partitions: group?.partitions ?? 0,
      received,
      redelivered,
      handled,
      retried,
      handedOver,
      replied,
      errorReplies: Object.fromEntries(this.#counters.errorReplies),
      passedOver: Object.fromEntries(this.#counters.passedOver),
      inHand: group?.inHand.records ?? 0,
      inHandBytes: group?.inHand.bytes ?? 0,
      delayed: group?.delayed ?? 0,
      lag: group?.lag,
      running: group?.running ?? 0,
      paused: group?.inHand.paused ?? 0,
      unacknowledged: group?.unacknowledged ?? 0,
      sending: this.#opened?.transport.sending() ?? { records: 0, bytes: 0 },
      oldestInHand: group?.oldestInHand,
      committed,
      commitFailures,
      leftBehind,
      repeated,
      clockDisagreements,
      handlerDuration: this.#counters.handlerDurations.summary(),
      operations: Object.fromEntries(
        [...this.#counters.operations].map(([name, durations]) => [name, durations.summary()]),
      ),
    }
  }

  health(): ReplierHealth {
    if (this.#group !== undefined) return this.#group.health
    return {
      joined: false,
      partitions: 0,
      stopped: [],
      troubles: [],
      oldestInHand: undefined,
      slotsTaken: 0,
      concurrency: this.#settings.concurrency,
      leftBehind: 0,
      undeliverable: [],
    }
  }

  close(options?: { readonly timeout?: number }): Promise<void> {
    let timeout: number
    try {
      timeout = closeTimeout('replier.close', options, this.#settings.drainTimeout)
    } catch (error) {
      return Promise.reject(errorOf(error))
    }
    this.#closing ??= this.#close(timeout)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #start(): Promise<void> {
    try {
      const { topics, own, extensions } = this.#registry.build(this.#settings.replyTopics)
      const opening = openTransport('createReplier', this.#options)
      // Nobody waits for it any more when close() came first.
      opening.then((opened) => this.#closing && closeOwned(opened)).catch(() => undefined)
      this.#opened = await this.#unlessClosed(opening)
      await this.#unlessClosed(this.#requireTopics(this.#opened.transport, own))
      const settings = this.#settings
      const counters = this.#counters
      const warnings = this.#warnings
      const { transport } = this.#opened
      const answers = new Answers(settings)
      const { records } = this.#registry
      this.#extensions = extensions
      const parts = this.#parts(transport)
      const { createTopics, unknownOperations } = settings
      await this.#unlessClosed(extensions.open({ ...parts, createTopics, unknownOperations }))
      const handler = new RequestHandler({ settings, topics, records, answers, counters, warnings, parts })
      const names = [...topics.keys()]
      const delays = new Map([...topics].map(([name, { delay }]) => [name, delay]))
      const group = new GroupWork({
        settings,
        topics: names,
        delays,
        transport,
        handler,
        answers,
        counters,
        warnings,
      })
      await group.join(this.#abort.signal)
      this.#group = group
    } catch (error) {
      await this.#closeExtensions()
      await this.#closeTransport()
      this.#starting = undefined
      throw this.#closing === undefined ? error : this.#closed()
    }
  }

  /** What a step of start gives, or `MILENA_CLOSED` as soon as close() was called. */
  #unlessClosed<Result>(step: Promise<Result>): Promise<Result> {
    const { signal } = this.#abort
    return new Promise((resolve, reject) => {
      const refuse = (): void => reject(this.#closed())
      if (signal.aborted) refuse()
      signal.addEventListener('abort', refuse, { once: true })
      step.then(resolve, reject).finally(() => signal.removeEventListener('abort', refuse))
    })
  }

  #parts(transport: Transport): ReplierParts {
    const { groupId, clock, profile } = this.#settings
    const warn = (message: string, details: Readonly<Record<string, unknown>>, error?: unknown): void =>
      this.#warnings.tell(message, details, error)
    return { groupId, transport, clock, profile, warn }
  }

  async #closeExtensions(): Promise<void> {
    await this.#extensions?.close((error) =>
      this.#warnings.tell('closing a record middleware failed', {}, error),
    )
  }

  async #requireTopics(transport: Transport, names: readonly string[]): Promise<void> {
    for (const name of names) {
      const spec = { name, partitions: developmentPartitions }
      await requireTopic(transport, spec, this.#settings.createTopics)
    }
  }

  async #close(timeout: number): Promise<void> {
    // Ends whatever start() waits for; a member that the group has by then leaves it at once.
    this.#abort.abort()
    await this.#starting?.catch(() => undefined)
    try {
      await this.#group?.leave(timeout)
    } finally {
      await this.#closeExtensions()
      await this.#closeTransport()
      this.#warnings.close()
    }
  }

  async #closeTransport(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    if (opened !== undefined) await closeOwned(opened)
  }

  #refuseOnceStarted(what: string): void {
    if (this.#closing !== undefined) throw this.#closed()
    if (this.#starting === undefined) return
    throw new OptionsError(`replier.${what}`, ['the replier was started already; call it before start()'])
  }

  #closed(): MilenaError {
    return new MilenaError('MILENA_CLOSED', `the replier of group ${this.#settings.groupId} is closed`)
  }
}

async function closeOwned({ transport, owned }: OpenedTransport): Promise<void> {
  if (owned) await transport.close()
}
