/** The parts of a requester, put together. */
import { untyped, type AnyOperation, type Operation } from '../contract/operation.ts'
import { requestRejected } from '../diagnostics.ts'
import { MilenaError, OptionsError } from '../errors.ts'
import { openRoutes, type ReplyRoutes } from '../routing/reply-routes.ts'
import type { RecordPosition } from '../transport/transport.ts'
import type { OpenedTransport } from '../transport/open.ts'
import { ReservedHeaders } from '../wire/reserved-headers.ts'
import { errorOf } from '../words.ts'
import { Acceptance } from './acceptance.ts'
import { Caps } from './caps.ts'
import { Closing } from './closing.ts'
import { Dispatcher } from './dispatcher.ts'
import { Each, type EachHost, type EachResults } from './each.ts'
import { readEachOptions, readItems, type RequestEachOptions } from './each-options.ts'
import { EarlyReplies } from './early-replies.ts'
import { FurtherHeaders } from './further-headers.ts'
import { Journaling } from './journaling.ts'
import { LateReplies } from './late-replies.ts'
import { OperationAccounts } from './operation-accounts.ts'
import type { RequesterSettings } from './options.ts'
import { Outcomes, type OutcomeKey, type FoundOutcome } from './outcome.ts'
import { readManyOptions } from './gather-options.ts'
import type { Gathered, RequestManyOptions } from './gathered.ts'
import { Gathering } from './gathering.ts'
import type { OutcomeOptions } from './outcome-options.ts'
import { OneWay } from './one-way.ts'
import { refuseSendOptions, type SendOptions } from './send-options.ts'
import { PendingReply } from './pending.ts'
import { PendingReplies } from './pending-replies.ts'
import { Preparation } from './preparation.ts'
import { Preparing } from './preparing.ts'
import { refused } from './read-options.ts'
import { Receiving } from './receiving.ts'
import { Recovery } from './recovery.ts'
import { ReplyReceiver } from './reply-receiver.ts'
import type { Reply, RequestOptions } from './reply.ts'
import { RequestEncoder } from './request-record.ts'
import { promiseOf, Registration } from './registration.ts'
import {
  publish,
  unregistered,
  type PendingRequest,
  type PreparedRequest,
  type RegisterOptions,
} from './stages.ts'
import { createCounters, type RequesterHealth, type RequesterHoldings, type RequesterStats } from './stats.ts'
import { TopicDirectory } from './topic-directory.ts'
import { RequesterWarnings } from './warnings.ts'

export class OpenRequester implements AsyncDisposable {
  readonly #settings: RequesterSettings
  readonly #opened: OpenedTransport
  readonly #warnings: RequesterWarnings
  readonly #counters = createCounters()
  readonly #accounts = new OperationAccounts()
  readonly #preparing: Preparing
  readonly #caps: Caps
  readonly #receiving: Receiving
  readonly #preparation: Preparation
  readonly #acceptance: Acceptance
  readonly #registration: Registration
  readonly #dispatcher: Dispatcher
  readonly #oneWay: OneWay
  readonly #pending: PendingReplies
  readonly #receiver: ReplyReceiver
  readonly #journaling: Journaling | undefined
  readonly #closing: Closing
  readonly #outcomes: Outcomes
  #routes: ReplyRoutes | undefined

  constructor(settings: RequesterSettings, opened: OpenedTransport) {
    const { clock, instanceId } = settings
    const { transport } = opened
    this.#settings = settings
    this.#opened = opened
    const warnings = new RequesterWarnings(clock, instanceId)
    this.#warnings = warnings
    const topics = new TopicDirectory(transport, settings.createTopics, clock)
    const reserved = new ReservedHeaders(settings.profile)
    const accounts = this.#accounts
    this.#preparing = new Preparing(clock)
    this.#caps = new Caps(settings, this.#preparing)
    this.#receiving = new Receiving({ clock, onOver: (reason) => this.#over(reason) })
    this.#dispatcher = new Dispatcher({
      transport,
      instanceId,
      caps: this.#caps,
      onUnsent: (pending, error) => this.#pending.failUnsent(pending, error),
      onRefused: (topic, error) => topics.doubt(topic, error),
    })
    this.#pending = new PendingReplies({
      instanceId,
      clock,
      caps: this.#caps,
      remember: settings.remember,
      maxPendingBytes: settings.maxPendingBytes,
      withdraw: (pending) => this.#dispatcher.withdraw(pending),
      catchUp: () => this.#receiving.catchUp(),
      reasonSince: ({ acceptedAt, replyTopic }) => this.#receiving.reasonSince(acceptedAt, replyTopic),
      replyTopic: ({ replyTopic }) => replyTopic ?? this.#routes!.address().topic,
      onForgotten: () => this.#forgotten(),
      onJournaledEnded: (pending, outcome, came) => this.#journaling?.ended(pending, outcome, came),
    })
    const { resumeFrom, remember, maxPendingBytes, maxReplyBytes, journal } = settings
    const recovery =
      journal &&
      new Recovery({
        clock,
        profile: settings.profile,
        journal,
        accounts,
        warnings,
        pending: () => this.#pending,
        maxReplyBytes,
        maxBytes: maxPendingBytes,
        defaultReplyTopic: () => this.#routes!.address().topic,
        reasonSince: (openedAt, replyTopic) => this.#receiving.reasonSince(openedAt, replyTopic),
        catchUp: () => this.#receiving.catchUp(),
      })
    const early =
      resumeFrom === undefined
        ? undefined
        : new EarlyReplies(remember, maxPendingBytes, (record) => this.#receiver.countForeign(record))
    this.#receiver = new ReplyReceiver({
      settings,
      accounts,
      pending: this.#pending,
      counters: this.#counters,
      early,
      recovery,
      onJournaledLate: (pending) => this.#journaling?.cameLate(pending),
      late: new LateReplies(settings.onLateReply, (thrown) => warnings.tell('onLateReply', thrown)),
      onReplyFailed: (thrown) => warnings.tell('onReply', thrown),
      onContradiction: (id, first, second) => {
        const places = [first, second].map((at) => `${at.topic}[${at.partition}] at offset ${at.offset}`)
        warnings.tellSeldom(
          'contradiction',
          `two different replies to request ${id}: ${places.join(', and ')}; the first one counts`,
        )
      },
    })
    const [receiving, preparing, caps] = [this.#receiving, this.#preparing, this.#caps]
    this.#preparation = new Preparation({
      settings,
      reserved,
      topics,
      preparing,
      caps,
      receiving,
      onRejected: (operation, error) => this.#countRejected(operation, error),
    })
    const encoder = new RequestEncoder(settings)
    const further = new FurtherHeaders({
      settings,
      reserved,
      warn: (context, thrown) => warnings.tell(context, thrown),
    })
    this.#acceptance = new Acceptance({
      settings,
      further,
      topics,
      caps,
      receiving,
      pending: this.#pending,
      encoder,
      address: ({ replyTopic }) => this.#routes!.at(replyTopic).address(),
      correlationPrefix: ({ replyTopic }) => this.#routes!.at(replyTopic).correlationPrefix,
    })
    this.#oneWay = new OneWay({ transport, instanceId, clock, encoder, further, caps, topics })
    this.#registration = new Registration({
      acceptance: this.#acceptance,
      dispatcher: this.#dispatcher,
      pending: this.#pending,
      receiver: this.#receiver,
      early,
    })
    this.#outcomes = new Outcomes({
      clock,
      timeout: settings.timeout,
      ask: (operation, key, options) => this.#prepare(operation, key, options, this.#accept),
    })
    this.#journaling =
      journal &&
      recovery &&
      new Journaling({
        settings,
        journal,
        recovery,
        dispatcher: this.#dispatcher,
        pending: this.#pending,
        caps,
        warn: (context, thrown) => warnings.tell(context, thrown),
      })
    this.#closing = new Closing({
      settings,
      preparing,
      receiving,
      opened,
      warnings,
      pending: this.#pending,
      oneWay: this.#oneWay,
      closeJournal: async (timeout) => this.#journaling?.close(timeout),
      closeRouting: () => this.#routes?.close() ?? Promise.resolve(),
    })
  }

  // Two functions for all requests, where each could have its own: that would be two objects for every request.
  readonly #accept = (pending: PendingReply): Promise<Reply<unknown>> => {
    if (this.#closing.drained) throw this.#closing.error()
    if (this.#journaling?.taken !== undefined) throw this.#journaling.taken
    return this.#acceptance.accept(pending, undefined, this.#send)
  }

  readonly #send = (pending: PendingReply): Promise<Reply<unknown>> => {
    const reply = promiseOf<unknown>(pending)
    if (this.#journaling?.covers(pending.operation))
      this.#journaling.write(pending, this.#repliesFrom(pending))
    else this.#dispatcher.send(pending)
    this.#pending.publishAccepted(pending)
    return reply
  }

  get instanceId(): string {
    return this.#settings.instanceId
  }

  async open(): Promise<void> {
    const { replyRouting, instanceId, createTopics, clock, resumeFrom } = this.#settings
    const { transport } = this.#opened
    const unfinished = await this.#journaling?.open()
    this.#routes = await openRoutes(replyRouting, {
      transport,
      instanceId,
      createTopics,
      resumeFrom: unfinished ?? resumeFrom,
      clock,
      pending: (of) => this.#pending.ids(of),
      receive: (records) => this.#receiver.receive(records),
      onTrouble: (troubles, of) => this.#receiving.changed(troubles, of),
      unreadable: (range) => {
        const { topic, partition, offset, next, reason } = range
        this.#counters.unreadable++
        this.#receiving.passedOver(range)
        this.#warnings.tellSeldom(
          'reply routing',
          `${topic}[${partition}] from offset ${offset} to ${next} cannot be read: ${reason}; replies may have stood there`,
        )
      },
      warn: (error) => {
        // At close, work that is under way ends so.
        const ended = this.#closing.begun && error instanceof MilenaError && error.code === 'MILENA_CLOSED'
        if (!ended) this.#warnings.tell('reply routing', error)
      },
    })
    this.#receiving.begin(this.#routes)
    this.#journaling?.begin(this.#routes)
  }

  request<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    value: RequestInput,
    options?: RequestOptions,
  ): Promise<Reply<ReplyOutput>> {
    return this.#prepare(untyped(operation), value, options, this.#accept) as Promise<Reply<ReplyOutput>>
  }

  requestMany<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    value: RequestInput,
    options: RequestManyOptions<ReplyOutput>,
  ): Promise<Gathered<ReplyOutput>> {
    const asked = untyped(operation)
    try {
      this.#accounts.of(asked)
      const { plan, rest } = readManyOptions(asked, options)
      const gathered = this.#prepare(asked, value, rest, (pending) => {
        this.#refuseMany(pending)
        pending.gathering = new Gathering(plan)
        return this.#accept(pending)
      })
      return gathered as Promise<unknown> as Promise<Gathered<ReplyOutput>>
    } catch (error) {
      this.#countRejected(asked, error)
      return Promise.reject(errorOf(error))
    }
  }

  prepare<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    value: RequestInput,
    options?: RequestOptions,
  ): Promise<PreparedRequest<ReplyOutput>> {
    return this.#prepare(untyped(operation), value, options, (pending) =>
      Promise.resolve(publish<ReplyOutput>(pending)),
    )
  }

  async send<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    typed: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    value: RequestInput,
    options?: SendOptions,
  ): Promise<RecordPosition> {
    const operation = untyped(typed)
    return this.#prepare(
      operation,
      value,
      options,
      (pending) => {
        if (this.#closing.drained) throw this.#closing.error()
        return this.#oneWay.send(pending)
      },
      true,
    )
  }

  requestEach<RequestInput, RequestOutput, ReplyInput, ReplyOutput, Item extends RequestInput>(
    typed: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    items: Iterable<Item> | AsyncIterable<Item>,
    options?: RequestEachOptions<Item>,
  ): EachResults<Item, ReplyOutput> {
    const operation = untyped(typed)
    this.#accounts.of(operation)
    const host: EachHost = {
      clock: this.#settings.clock,
      hasRoom: () => this.#caps.hasRoom(),
      request: (item, requestOptions, accepted) =>
        this.#prepare(operation, item, requestOptions, (pending) => {
          const reply = this.#accept(pending)
          accepted()
          return reply
        }),
    }
    return new Each(host, readItems(items), readEachOptions(operation, options)) as EachResults<never, never>
  }

  outcome<RequestInput, RequestOutput, ReplyInput, ReplyOutput>(
    operation: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    key: OutcomeKey,
    options?: OutcomeOptions,
  ): Promise<FoundOutcome<ReplyOutput>> {
    return this.#outcomes.of(operation, key, options)
  }

  register<ReplyOutput>(
    prepared: PreparedRequest<ReplyOutput>,
    options?: RegisterOptions<ReplyOutput>,
  ): PendingRequest<ReplyOutput> {
    const pending = unregistered(prepared)
    if (pending === undefined)
      throw new OptionsError('register', ['it takes what prepare() has given, and each of it once'])
    try {
      if (this.#closing.begun) throw this.#closing.error()
      if (this.#journaling?.taken !== undefined) throw this.#journaling.taken
      return this.#registration.register<ReplyOutput>(pending, options, this.#repliesFrom(pending))
    } catch (error) {
      this.#countRejected(pending.operation, error)
      throw error
    }
  }

  stats(): RequesterStats {
    return {
      instanceId: this.instanceId,
      routing: this.#settings.replyRouting.map(({ name }) => name).join(', '),
      replyAddress: this.#routes!.address(),
      replyAddresses: this.#routes!.all.map((routing) => routing.address()),
      ...this.#holdings(),
      ...this.#accounts.totals(),
      ...this.#counters,
      oneWay: this.#oneWay.counts,
      roundTrip: this.#accounts.roundTrip(),
      operations: this.#accounts.byName(),
    }
  }

  health(): RequesterHealth {
    const { troubles } = this.#receiving
    const receiving = troubles.length === 0 && this.#journaling?.taken === undefined
    return { receiving, troubles, replyTopics: this.#receiving.health(), ...this.#holdings() }
  }

  close(options?: { readonly timeout?: number | undefined }): Promise<void> {
    return this.#closing.close(options?.timeout)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #prepare<Result>(
    operation: AnyOperation,
    value: unknown,
    options: RequestOptions | undefined,
    then: (pending: PendingReply) => Promise<Result>,
    oneWay = false,
  ): Promise<Result> {
    try {
      // First of all: a question about the topic that begins now would fail with nobody there to hear of it.
      if (this.#closing.begun) throw this.#closing.error()
      if (this.#journaling?.taken !== undefined) throw this.#journaling.taken
      const account = this.#accounts.of(operation)
      // Before any work: when there is too much already, a rejection must cost next to nothing.
      this.#caps.check(operation, 0)
      if (oneWay) refuseSendOptions(operation, options)
      else if (this.#settings.whileNotReceiving === 'refuse' && this.#receiving.isShut)
        throw this.#receiving.refusal({ operation })
      return this.#preparation.prepare(new PendingReply(operation, account, value, oneWay), options, then)
    } catch (error) {
      this.#countRejected(operation, error)
      return Promise.reject(errorOf(error))
    }
  }

  /** Where several replies could not be had, or kept, as one can. */
  #refuseMany({ operation, replyTopic }: PendingReply): void {
    if (this.#journaling?.covers(operation) === true)
      throw refused(
        operation,
        'the journal keeps one outcome for each request, and this operation is one of journal.operations: ' +
          'requestMany needs a requester without it',
      )
    const routing = this.#routes!.at(replyTopic)
    if (routing.oneReplyEach)
      throw refused(
        operation,
        `the routing of reply topic ${routing.address().topic} keeps one reply for each request: requestMany needs ` +
          'one that reads a log, such as replyPartition',
      )
  }

  /** From where its reply can appear. */
  #repliesFrom({ replyTopic }: PendingReply): readonly RecordPosition[] {
    return this.#routes!.at(replyTopic).positions()
  }

  #holdings(): RequesterHoldings {
    return {
      pending: this.#pending.size,
      pendingBytes: this.#pending.bytes,
      oldestPending: this.#pending.oldestAge,
      preparing: this.#preparing.size,
      sending: this.#dispatcher.sending + this.#oneWay.size,
      sendingBytes: this.#dispatcher.sendingBytes + this.#oneWay.bytes,
      ...(this.#journaling && { journal: this.#journaling.health() }),
    }
  }

  /** Once for each request that was not accepted. */
  #countRejected(operation: AnyOperation, thrown: unknown): void {
    this.#counters.rejected++
    if (!requestRejected.hasSubscribers) return
    const error = errorOf(thrown)
    const code = error instanceof MilenaError ? error.code : undefined
    const { name, topic } = this.#accounts.has(operation) ? operation : { name: '(none)', topic: '(none)' }
    requestRejected.publish({ operation: name, topic, instanceId: this.instanceId, code, error })
  }

  #forgotten(): void {
    if (this.#counters.forgotten++ > 0) return
    this.#warnings.tell(
      'late replies',
      new Error(
        'a request without a reply is forgotten, since there are more than `remember` or `maxPendingBytes` of them; ' +
          'a late reply to it will not be handed over (from now on counted in stats().forgotten)',
      ),
    )
  }

  /** No reply will come any more: whoever waits for one is told at once. */
  #over(reason: Error): void {
    this.#preparing.close(() => this.#closing.error())
    this.#pending.abandon(reason)
  }
}
