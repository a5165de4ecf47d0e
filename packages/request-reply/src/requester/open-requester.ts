/** What the callers of a requester call; what it is made of: `parts.ts`. */
import { untyped, type AnyOperation, type Operation } from '../contract/operation.ts'
import { MilenaError, OptionsError } from '../errors.ts'
import type { RecordPosition } from '../transport/transport.ts'
import type { OpenedTransport } from '../transport/open.ts'
import { stoppingOf } from '../transport/troubles.ts'
import { errorOf } from '../words.ts'
import { Each, type EachHost, type EachResults } from './each.ts'
import { readEachOptions, readItems, type RequestEachOptions } from './each-options.ts'
import type { RequesterSettings } from './options.ts'
import { Outcomes, type OutcomeKey, type FoundOutcome } from './outcome.ts'
import { readManyOptions } from './gather-options.ts'
import type { Gathered, RequestManyOptions } from './gathered.ts'
import { Gathering } from './gathering.ts'
import type { OutcomeOptions } from './outcome-options.ts'
import { refuseSendOptions, type SendOptions } from './send-options.ts'
import { PendingReply } from './pending.ts'
import { refused } from './read-options.ts'
import type { Reply, RequestOptions } from './reply.ts'
import { promiseOf } from './registration.ts'
import {
  publish,
  unregistered,
  type PendingRequest,
  type PreparedRequest,
  type RegisterOptions,
} from './stages.ts'
import type { RequesterHealth, RequesterStats } from './stats.ts'
import { RequesterParts } from './parts.ts'

export class OpenRequester implements AsyncDisposable {
  readonly #parts: RequesterParts
  readonly #outcomes: Outcomes

  constructor(settings: RequesterSettings, opened: OpenedTransport) {
    const { clock, timeout } = settings
    this.#parts = new RequesterParts(settings, opened)
    this.#outcomes = new Outcomes({
      clock,
      timeout,
      ask: (operation, key, options) => this.#prepare(operation, key, options, this.#accept),
    })
  }

  get instanceId(): string {
    return this.#parts.settings.instanceId
  }

  open(): Promise<void> {
    return this.#parts.open()
  }

  // Two functions for all requests, where each could have its own: that would be two objects for every request.
  readonly #accept = (pending: PendingReply): Promise<Reply<unknown>> => {
    if (this.#parts.journaling?.taken !== undefined) throw this.#parts.journaling.taken
    return this.#parts.acceptance.accept(pending, undefined, this.#send)
  }

  readonly #send = (pending: PendingReply): Promise<Reply<unknown>> => {
    const reply = promiseOf<unknown>(pending)
    if (this.#parts.journaling?.covers(pending.operation))
      this.#parts.journaling.write(pending, this.#repliesFrom(pending))
    else this.#parts.dispatcher.send(pending)
    this.#parts.pending.publishAccepted(pending)
    return reply
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
      this.#parts.accounts.of(asked)
      const { plan, rest } = readManyOptions(asked, options)
      const gathered = this.#prepare(asked, value, rest, (pending) => {
        this.#refuseMany(pending)
        pending.gathering = new Gathering(plan)
        return this.#accept(pending)
      })
      return gathered as Promise<unknown> as Promise<Gathered<ReplyOutput>>
    } catch (error) {
      this.#parts.rejections.count(asked, error)
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
    return this.#prepare(operation, value, options, (pending) => this.#parts.oneWay.send(pending), true)
  }

  requestEach<RequestInput, RequestOutput, ReplyInput, ReplyOutput, Item extends RequestInput>(
    typed: Operation<RequestInput, RequestOutput, ReplyInput, ReplyOutput>,
    items: Iterable<Item> | AsyncIterable<Item>,
    options?: RequestEachOptions<Item>,
  ): EachResults<Item, ReplyOutput> {
    const operation = untyped(typed)
    this.#parts.accounts.of(operation)
    const host: EachHost = {
      turns: this.#parts.turns,
      request: (item, requestOptions, accepted) =>
        this.#prepare(operation, item, requestOptions, (pending) => {
          let reply: Promise<Reply<unknown>>
          try {
            reply = this.#accept(pending)
          } catch (error) {
            // It is tried again, so it does not count as rejected.
            if (error instanceof MilenaError && error.code === 'MILENA_OVERLOADED')
              return Promise.reject(error)
            throw error
          }
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
      if (this.#parts.closing.begun) throw this.#parts.closing.error()
      if (this.#parts.journaling?.taken !== undefined) throw this.#parts.journaling.taken
      return this.#parts.registration.register<ReplyOutput>(pending, options, this.#repliesFrom(pending))
    } catch (error) {
      this.#parts.rejections.count(pending.operation, error)
      throw error
    }
  }

  stats(): RequesterStats {
    return {
      instanceId: this.instanceId,
      routing: this.#parts.routes.all.map(({ name }) => name).join(', '),
      replyAddress: this.#parts.routes.address(),
      replyAddresses: this.#parts.routes.all.map((routing) => routing.address()),
      ...this.#parts.holdings(),
      ...this.#parts.accounts.totals(),
      ...this.#parts.counters,
      oneWay: this.#parts.oneWay.counts,
      roundTrip: this.#parts.accounts.roundTrip(),
      operations: this.#parts.accounts.byName(),
    }
  }

  health(): RequesterHealth {
    const { troubles } = this.#parts.receiving
    const receiving = stoppingOf(troubles).length === 0 && this.#parts.journaling?.taken === undefined
    return { receiving, troubles, replyTopics: this.#parts.receiving.health(), ...this.#parts.holdings() }
  }

  close(options?: { readonly timeout?: number | undefined }): Promise<void> {
    const closed = this.#parts.closing.close(options)
    if (this.#parts.closing.begun) this.#parts.turns.close(this.#parts.closing.error())
    return closed
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
      if (this.#parts.closing.begun) throw this.#parts.closing.error()
      if (this.#parts.journaling?.taken !== undefined) throw this.#parts.journaling.taken
      const account = this.#parts.accounts.of(operation)
      // Before any work: when there is too much already, a rejection must cost next to nothing.
      this.#parts.caps.check(operation, 0)
      if (oneWay) refuseSendOptions(operation, options)
      else if (this.#parts.settings.whileNotReceiving === 'refuse' && this.#parts.receiving.isShut)
        throw this.#parts.receiving.refusal({ operation })
      return this.#parts.preparation.prepare(
        new PendingReply(operation, account, value, oneWay),
        options,
        then,
      )
    } catch (error) {
      this.#parts.rejections.count(operation, error)
      return Promise.reject(errorOf(error))
    }
  }

  /** Where several replies could not be had, or kept, as one can. */
  #refuseMany({ operation, replyTopic }: PendingReply): void {
    if (this.#parts.journaling?.covers(operation) === true)
      throw refused(
        operation,
        'the journal keeps one outcome for each request, and this operation is one of journal.operations: ' +
          'requestMany needs a requester without it',
      )
    const routing = this.#parts.routes.at(replyTopic)
    if (routing.oneReplyEach)
      throw refused(
        operation,
        `reply routing ${routing.name} keeps one reply for each request: requestMany needs ` +
          'one that reads a log, such as replyPartition',
      )
  }

  /** From where its reply can appear. */
  #repliesFrom({ replyTopic }: PendingReply): readonly RecordPosition[] {
    return this.#parts.routes.at(replyTopic).positions()
  }
}
