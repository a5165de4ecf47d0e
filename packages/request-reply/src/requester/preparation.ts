/**
 * What has to be done and known before a request can be accepted:
 *
 *   options read ─▶ validated ─▶ encoded ─▶ key ─▶ topic known ─▶ its key's turn ─▶ replies can be received
 *
 * All of it happens within the call, unless something has to be waited for.
 */
import type { Encoded } from '../contract/coding.ts'
import type { AnyOperation } from '../contract/operation.ts'
import type { ReservedHeaders } from '../wire/reserved-headers.ts'
import type { Caps } from './caps.ts'
import { encodeRequest, refuseReserved } from './encoding.ts'
import { KeyOrder } from './key-order.ts'
import type { RequesterSettings } from './options.ts'
import { cancelledBefore, notReady, reasonOf } from './outcome-errors.ts'
import type { PendingReply } from './pending.ts'
import type { Preparing } from './preparing.ts'
import { readRequestOptions, tryTo } from './read-options.ts'
import type { Receiving } from './receiving.ts'
import type { RequestOptions } from './reply.ts'
import { chooseIdempotencyKey, chooseKey, recordBytes } from './request-record.ts'
import { isAborted } from './signals.ts'
import type { TopicDirectory } from './topic-directory.ts'

export interface PreparationOptions {
  readonly settings: Pick<RequesterSettings, 'clock' | 'timeout' | 'whileNotReceiving'>
  readonly reserved: ReservedHeaders
  readonly topics: TopicDirectory
  readonly preparing: Preparing
  readonly caps: Caps
  readonly receiving: Receiving
  /** A request that had something to wait for was not accepted. */
  onRejected(operation: AnyOperation, error: unknown): void
}

export class Preparation {
  readonly #options: PreparationOptions
  readonly #order = new KeyOrder()

  constructor(options: PreparationOptions) {
    this.#options = options
  }

  /**
   * Reads and checks what was given, and calls `then` with the prepared request, within the call where that can be, and in the order of each key.
   *
   * @throws MilenaError of whatever is wrong with it, within the call; later the promise rejects, and `onRejected` was told
   */
  prepare<Result>(
    pending: PendingReply,
    given: RequestOptions | undefined,
    then: (pending: PendingReply) => Promise<Result>,
  ): Promise<Result> {
    const { settings, reserved, topics, receiving } = this.#options
    const { operation, request: value } = pending
    const givenKey = readRequestOptions(pending, given, settings.timeout, reserved, settings.clock)
    if (isAborted(pending)) throw cancelledBefore(operation, reasonOf(pending.signal))
    if (!pending.oneWay) {
      receiving.choose(pending)
      if (settings.whileNotReceiving === 'refuse' && !receiving.isOpenFor(pending))
        throw receiving.refusal(pending)
    }
    // Now, while the value is as it was given.
    pending.idempotencyKey = chooseIdempotencyKey(operation, value, pending.idempotencyKey)
    const body = encodeRequest(operation, value)
    if (body instanceof Promise) {
      // Now, while the value is as it was given; a value that the schema refuses is more to the point, though.
      const key = tryTo(() => chooseKey(operation, value, givenKey))
      if ('done' in key) pending.key = key.done
      const encoded = body.then((done) => {
        if ('failed' in key) throw key.failed
        this.#takeBody(pending, done)
      })
      return this.#later(pending, encoded, then)
    }
    pending.key = chooseKey(operation, value, givenKey)
    this.#takeBody(pending, body)
    const partitions = topics.partitions(operation.topic)
    if (typeof partitions !== 'number') partitions.catch(() => undefined) // it is asked for again
    else if (!this.#order.holds(pending) && (pending.oneWay || this.#isReceiving(pending))) {
      pending.partitions = partitions
      return then(pending)
    }
    return this.#later(pending, undefined, then)
  }

  /** The time that this takes comes off the request's timeout. */
  async #later<Result>(
    pending: PendingReply,
    encoded: Promise<void> | undefined,
    then: (pending: PendingReply) => Promise<Result>,
  ): Promise<Result> {
    const turn = this.#order.enter(pending)
    try {
      // Wrapped, so that it is not awaited here: what it rejects with is an accepted request's.
      const { result } = await this.#wait(pending, encoded, turn.before, () => ({ result: then(pending) }))
      return result
    } catch (error) {
      this.#options.onRejected(pending.operation, error)
      throw error
    } finally {
      turn.leave()
    }
  }

  async #wait<Result>(
    pending: PendingReply,
    encoded: Promise<void> | undefined,
    before: Promise<void> | undefined,
    then: () => Result,
  ): Promise<Result> {
    const { settings, preparing, caps, topics, receiving } = this.#options
    const { operation } = pending
    encoded?.catch(() => undefined) // whatever becomes of this request, that is not an unhandled rejection
    const begunAt = settings.clock.monotonic()
    caps.check(operation, pending.bytes)
    let waitedFor = `the ${operation.request.schema === undefined ? 'codec' : 'schema or codec'} of its request`
    const ready = async (): Promise<void> => {
      await encoded
      waitedFor = `the description of topic ${operation.topic}`
      pending.partitions = await topics.partitions(operation.topic)
      waitedFor = 'an earlier request of its key'
      await before
      waitedFor = ''
      if (settings.whileNotReceiving === 'wait' && !pending.oneWay) await receiving.opened(pending)
    }
    const onTimeout = (): Error =>
      waitedFor === '' ? receiving.refusal(pending) : notReady(operation, pending.timeout, waitedFor)
    return preparing.wait(pending, ready(), onTimeout, () => {
      pending.spent = settings.clock.monotonic() - begunAt
      return then()
    })
  }

  #takeBody(pending: PendingReply, body: Encoded): void {
    const { reserved, preparing } = this.#options
    const { value, headers } = body
    pending.value = value
    if (headers.length > 0) {
      refuseReserved(pending.operation, body, reserved)
      pending.headers = [...pending.headers, ...headers]
    }
    preparing.resize(pending, recordBytes(pending.key, value, pending.headers))
  }

  #isReceiving(pending: PendingReply): boolean {
    const { settings, receiving } = this.#options
    return settings.whileNotReceiving === 'refuse' || receiving.isOpenFor(pending)
  }
}
