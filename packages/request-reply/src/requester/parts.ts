/** The parts of a requester, put together, and opened. */
import { MilenaError } from '../errors.ts'
import { openRoutes, type ReplyRoutes } from '../routing/reply-routes.ts'
import type { OpenedTransport } from '../transport/open.ts'
import type { RecordPosition } from '../transport/transport.ts'
import { ReservedHeaders } from '../wire/reserved-headers.ts'
import { Acceptance } from './acceptance.ts'
import { Caps } from './caps.ts'
import { Closing } from './closing.ts'
import { Dispatcher } from './dispatcher.ts'
import { Turns } from './each-turns.ts'
import { EarlyReplies } from './early-replies.ts'
import { FurtherHeaders } from './further-headers.ts'
import { Journaling } from './journaling.ts'
import { LateReplies } from './late-replies.ts'
import { OperationAccounts } from './operation-accounts.ts'
import type { RequesterSettings } from './options.ts'
import { OneWay } from './one-way.ts'
import { PendingReplies } from './pending-replies.ts'
import { Preparation } from './preparation.ts'
import { Preparing } from './preparing.ts'
import { Receiving } from './receiving.ts'
import { Recovery } from './recovery.ts'
import { ReplyReceiver } from './reply-receiver.ts'
import { RequestEncoder } from './request-record.ts'
import { Registration } from './registration.ts'
import { Strays } from './strays.ts'
import { createCounters, type RequesterCounters, type RequesterHoldings } from './stats.ts'
import { TopicDirectory } from './topic-directory.ts'
import { Warnings } from '../warnings.ts'
import { Rejections } from './rejections.ts'

export class RequesterParts {
  readonly settings: RequesterSettings
  readonly opened: OpenedTransport
  readonly warnings: Warnings
  readonly counters: RequesterCounters = createCounters()
  readonly accounts: OperationAccounts = new OperationAccounts()
  readonly rejections: Rejections
  readonly preparing: Preparing
  readonly caps: Caps
  readonly receiving: Receiving
  readonly preparation: Preparation
  readonly acceptance: Acceptance
  readonly registration: Registration
  readonly dispatcher: Dispatcher
  readonly oneWay: OneWay
  readonly pending: PendingReplies
  readonly receiver: ReplyReceiver
  readonly journaling: Journaling | undefined
  readonly closing: Closing
  /** Of `requestEach`. */
  readonly turns: Turns
  #routes: ReplyRoutes | undefined

  constructor(settings: RequesterSettings, opened: OpenedTransport) {
    const { clock, instanceId } = settings
    const { transport } = opened
    this.settings = settings
    this.opened = opened
    const warnings = new Warnings({
      who: `requester ${instanceId}`,
      always: { instanceId },
      logger: settings.logger,
      clock,
    })
    this.warnings = warnings
    this.rejections = new Rejections(instanceId, this.accounts, this.counters)
    const topics = new TopicDirectory(transport, settings.createTopics, clock)
    const reserved = new ReservedHeaders(settings.profile)
    const accounts = this.accounts
    this.turns = new Turns(() => this.caps.hasRoom())
    const onRoom = (): void => this.turns.room()
    this.preparing = new Preparing(clock, onRoom)
    const { maxPending, maxPendingBytes } = settings
    this.caps = new Caps({ maxPending, maxPendingBytes, onRoom }, this.preparing)
    this.receiving = new Receiving({ clock, onOver: (reason) => this.#over(reason) })
    this.dispatcher = new Dispatcher({
      transport,
      instanceId,
      caps: this.caps,
      onUnsent: (pending, error) => this.pending.failUnsent(pending, error),
      onRefused: (topic, error) => topics.doubt(topic, error),
    })
    const strays = new Strays({
      clock,
      warnings,
      // What comes while the routes are opened, after a restart, may come before they are there.
      addresses: () => this.#routes?.all.map((routing) => routing.address()) ?? [],
      timedOut: () => accounts.totals().timedOut,
    })
    this.pending = new PendingReplies({
      instanceId,
      clock,
      caps: this.caps,
      remember: settings.remember,
      maxPendingBytes,
      withdraw: (pending) => this.dispatcher.withdraw(pending),
      catchUp: () => this.receiving.catchUp(),
      reasonSince: ({ acceptedAt, replyTopic }) =>
        this.receiving.reasonSince(acceptedAt, replyTopic) ?? strays.reasonSince(acceptedAt),
      replyTopic: ({ replyTopic }) => replyTopic ?? this.routes.address().topic,
      onForgotten: () => this.#forgotten(),
      onJournaledEnded: (pending, outcome, came) => this.journaling?.ended(pending, outcome, came),
    })
    const { resumeFrom, remember, maxReplyBytes, journal } = settings
    const recovery =
      journal &&
      new Recovery({
        clock,
        profile: settings.profile,
        journal,
        accounts,
        warnings,
        pending: () => this.pending,
        maxReplyBytes,
        maxBytes: maxPendingBytes,
        defaultReplyTopic: () => this.routes.address().topic,
        reasonSince: (openedAt, replyTopic) => this.receiving.reasonSince(openedAt, replyTopic),
        catchUp: () => this.receiving.catchUp(),
      })
    const early =
      resumeFrom === undefined
        ? undefined
        : new EarlyReplies(remember, maxPendingBytes, (record) => this.receiver.countForeign(record))
    this.receiver = new ReplyReceiver({
      settings,
      accounts,
      pending: this.pending,
      counters: this.counters,
      early,
      recovery,
      strays,
      onJournaledLate: (pending) => this.journaling?.cameLate(pending),
      late: new LateReplies(settings.onLateReply, (thrown) =>
        warnings.tell('onLateReply failed', {}, thrown),
      ),
      onReplyFailed: (thrown) => warnings.tell('onReply failed', {}, thrown),
      onContradiction: (id, first, second) => {
        warnings.tell(
          'two different replies to one request: the first one counts (does more than one group handle its topic?)',
          {
            correlationId: id,
            first: placeOf(first),
            second: placeOf(second),
          },
        )
      },
    })
    const [receiving, preparing, caps] = [this.receiving, this.preparing, this.caps]
    this.preparation = new Preparation({
      settings,
      reserved,
      topics,
      preparing,
      caps,
      receiving,
      onRejected: (operation, error) => this.rejections.count(operation, error),
    })
    const encoder = new RequestEncoder(settings)
    const further = new FurtherHeaders({
      settings,
      reserved,
      warn: (thrown) => warnings.tell('a subscriber of tracing has added what cannot be headers', {}, thrown),
    })
    this.acceptance = new Acceptance({
      settings,
      further,
      topics,
      caps,
      receiving,
      pending: this.pending,
      encoder,
      address: ({ replyTopic }) => this.routes.at(replyTopic).address(),
      correlationPrefix: ({ replyTopic }) => this.routes.at(replyTopic).correlationPrefix,
    })
    this.oneWay = new OneWay({ transport, instanceId, clock, encoder, further, caps, topics })
    this.registration = new Registration({
      acceptance: this.acceptance,
      dispatcher: this.dispatcher,
      pending: this.pending,
      receiver: this.receiver,
      early,
    })
    this.journaling =
      journal &&
      recovery &&
      new Journaling({
        settings,
        journal,
        recovery,
        dispatcher: this.dispatcher,
        pending: this.pending,
        caps,
        warn: (thrown) => warnings.tell('the journal has a trouble', {}, thrown),
        onTaken: (error) => this.turns.close(error),
      })
    this.closing = new Closing({
      settings,
      preparing,
      receiving,
      opened,
      warnings,
      pending: this.pending,
      oneWay: this.oneWay,
      closeJournal: async (timeout) => this.journaling?.close(timeout),
      closeRouting: () => this.#routes?.close() ?? Promise.resolve(),
    })
  }

  /** Where replies are received; there once it is open. */
  get routes(): ReplyRoutes {
    return this.#routes!
  }

  /** Resolves when replies can be received. */
  async open(): Promise<void> {
    const { replyRouting, instanceId, createTopics, clock, resumeFrom } = this.settings
    const { transport } = this.opened
    const unfinished = await this.journaling?.open()
    const routes = await openRoutes(replyRouting, {
      transport,
      instanceId,
      idIsOurs: this.journaling !== undefined,
      createTopics,
      resumeFrom: unfinished ?? resumeFrom,
      clock,
      pending: (of) => this.pending.ids(of),
      receive: (records) => this.receiver.receive(records),
      onTrouble: (troubles, of) => this.receiving.changed(troubles, of),
      unreadable: (range) => {
        const { topic, partition, offset, next, reason } = range
        this.counters.unreadable++
        this.receiving.passedOver(range)
        this.warnings.tell('a stretch of a reply topic cannot be read, where replies may have stood', {
          topic,
          partition,
          offset,
          next,
          reason,
        })
      },
      warn: (error) => {
        // At close, work that is under way ends so.
        const ended = this.closing.begun && error instanceof MilenaError && error.code === 'MILENA_CLOSED'
        if (!ended) this.warnings.tell('the reply routing has a trouble', {}, error)
      },
    })
    this.#routes = routes
    this.receiving.begin(routes)
    this.journaling?.begin(routes)
  }

  /** What is held at this moment. */
  holdings(): RequesterHoldings {
    return {
      pending: this.pending.size,
      pendingBytes: this.pending.bytes,
      oldestPending: this.pending.oldestAge,
      preparing: this.preparing.size,
      sending: this.dispatcher.sending + this.oneWay.size,
      sendingBytes: this.dispatcher.sendingBytes + this.oneWay.bytes,
      ...(this.journaling && { journal: this.journaling.health() }),
    }
  }

  #forgotten(): void {
    if (this.counters.forgotten++ > 0) return
    this.warnings.tell(
      'a request without a reply is forgotten, since there are more than `remember` or `maxPendingBytes` of them; ' +
        'a late reply to it will not be handed over (from now on counted in stats().forgotten)',
    )
  }

  /** No reply will come any more: whoever waits for one is told at once. */
  #over(reason: Error): void {
    this.preparing.close(() => this.closing.error())
    this.pending.abandon(reason)
    this.turns.close(this.closing.error())
  }
}

function placeOf({ topic, partition, offset }: RecordPosition): string {
  return `${topic}[${partition}] at offset ${offset}`
}
