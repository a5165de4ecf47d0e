/**
 * The same work once, however often it is asked for.
 *
 *     key ── none ──▶ next() as it is
 *      └─ claim ─┬─ stored ───▶ the first outcome, in its bytes           ┌ reply, final failure ──▶ complete ──▶ as it is
 *                ├─ mismatch ─▶ MILENA_IDEMPOTENCY_KEY_REUSED             │            │ fenced ──▶ the new owner's
 *                ├─ running ──▶ later, or MILENA_IN_PROGRESS              │            └ store away ──▶ stop: kept, and stored
 *                └─ claimed ──▶ next(), the lease renewed meanwhile ──────┤                            when it is back
 *                                                                         └ anything else ──▶ release ──▶ as it is
 */
import { outcomeQueryOf, type OutcomeAnswer } from '../contract/outcome-query.ts'
import type { StoredOutcome } from '../contract/stored-outcome.ts'
import type { AnyOperation } from '../contract/operation.ts'
import { OptionsError, remoteCodes } from '../errors.ts'
import type { OfferedOperation, ReplierExtension, ReplierOpening } from '../replier/extension.ts'
import type { ErrorOutcome, Outcome } from '../replier/outcome.ts'
import type { RawRequest } from '../replier/raw-request.ts'
import { depths, type RecordMiddleware } from '../replier/record-middleware.ts'
import type { IncomingRecord } from '../transport/transport.ts'
import { replayOfName } from '../wire/dead-letter.ts'
import { lastHeader } from '../wire/headers.ts'
import { errorOf } from '../words.ts'
import { repeat } from './repeat.ts'
import { fingerprintOf, idempotencyKey } from './key.ts'
import { Lease } from './lease.ts'
import { readIdempotencyOptions, type IdempotencyOptions, type IdempotencySettings } from './options.ts'
import { Settling } from './settling.ts'
import { createIdempotencyCounters, type IdempotencyStats } from './stats.ts'
import type { Claim, IdempotencyId, IdempotencyTransaction } from './store.ts'
import { isDeadLettered, verdictOn } from './verdict.ts'

/** The middleware, and what it has done so far. */
export type Idempotency<Added extends object = object> = RecordMiddleware<Added> & {
  stats(): IdempotencyStats
}

/**
 * Record middleware, to be the outermost: what comes again under the same key is answered with the stored first outcome,
 * reply or final failure, bytes and headers, however late; its handler is not run again. It offers the query that
 * `requester.outcome` asks.
 *
 * **Guarantee**: of requests with one key, within the store's `ttl`, the handler of one at a time is running, unless its
 * process is taken for dead (`lease`); and none runs once an outcome is stored. A process that was taken for dead and goes on
 * cannot store its outcome over its successor's. With a store that has transactions, what the handler does through its
 * context and the stored outcome are committed together, or not at all.
 *
 * **Not guaranteed**: that what a handler does outside of such a transaction happens once. A process that dies between doing
 * it and storing the outcome leaves the request to be handled again; so does one that is held up for longer than its lease.
 *
 * @throws OptionsError that lists every problem.
 */
export function idempotency<Added extends object = object>(
  options: IdempotencyOptions<Added>,
): Idempotency<Added> {
  const keeping = new Idempotent(readIdempotencyOptions(options))
  const middleware = (request: RawRequest, next: Next): Promise<Outcome> => keeping.handle(request, next)
  const whole = Object.assign(middleware, {
    extension: keeping,
    depth: depths.idempotency,
    stats: () => keeping.stats(),
  })
  return Object.defineProperty(whole, 'name', { value: 'idempotency' }) as unknown as Idempotency<Added>
}

type Next = (added?: object, check?: () => Promise<void>) => Promise<Outcome>

/** A request whose key was claimed. */
interface Claimed {
  readonly id: IdempotencyId
  readonly token: number
  /** Whether somebody may have begun with it before. */
  readonly again: boolean
  readonly lease: Lease
}

/** An outcome that could not be stored yet. */
interface Unstored {
  readonly id: IdempotencyId
  readonly outcome: Outcome
  readonly settling: Settling<'completed' | 'fenced'>
}

class Idempotent implements ReplierExtension {
  readonly #settings: IdempotencySettings
  readonly #counters = createIdempotencyCounters()
  readonly #settlings = new Set<{ close(): void }>()
  readonly #leases = new Set<Lease>()
  readonly #transactions = new Set<IdempotencyTransaction<object>>()
  /** The same record object comes at every turn of a record. */
  readonly #unstored = new WeakMap<IncomingRecord, Unstored>()
  readonly #waits = new WeakMap<IncomingRecord, number>()
  #groupId: string | undefined
  /** How many repliers it is open for. */
  #openings = 0
  #closed = false

  constructor(settings: IdempotencySettings) {
    this.#settings = settings
  }

  stats(): IdempotencyStats {
    return { ...this.#counters, unsettled: this.#settlings.size }
  }

  operations(operation: AnyOperation): readonly OfferedOperation[] {
    const query = outcomeQueryOf(operation)
    if (query === undefined) return []
    const handler = (key: unknown): Promise<OutcomeAnswer> => this.#answerTo(operation.name, String(key))
    return [{ operation: query as unknown as AnyOperation, handler }]
  }

  open({ groupId }: ReplierOpening): void {
    if (this.#groupId !== undefined && this.#groupId !== groupId)
      throw new OptionsError('idempotency', [
        `it belongs to a replier of group ${this.#groupId}: make another one for group ${groupId}`,
      ])
    this.#groupId = groupId
    this.#openings++
    this.#closed = false
  }

  close(): void {
    if (--this.#openings > 0) return
    this.#closed = true
    for (const settling of this.#settlings) settling.close()
    this.#settlings.clear()
    // What still runs is to be handled again elsewhere, as its signal has said.
    for (const lease of this.#leases) lease.end()
    this.#leases.clear()
    // Nor are its locks, and its connections, held any longer.
    for (const transaction of this.#transactions) void transaction.rollback()
    this.#transactions.clear()
  }

  async handle(request: RawRequest, next: Next): Promise<Outcome> {
    const { operation, record } = request
    if (operation === undefined) return next()
    const unstored = this.#unstored.get(record)
    if (unstored !== undefined) return this.#storedYet(request, unstored)
    const named = this.#keyOf(request)
    if (named === undefined) {
      this.#counters.unkeyed++
      return next()
    }
    if ('problem' in named)
      return refusal(
        remoteCodes.requestInvalid,
        `the idempotency key ${named.problem}; this delivery did nothing`,
      )
    const id = { scope: this.#settings.scope(request.replier.groupId, operation), key: named.key }
    const { clock } = request.replier
    const asked = clock.monotonic()
    let claim: Claim
    try {
      claim = await this.#claim(request, id, fingerprintOf(operation, request.value))
    } catch (error) {
      return { kind: 'stop', error: errorOf(error) }
    }
    switch (claim.kind) {
      case 'claimed':
        return this.#claimed(request, next, id, claim, clock.monotonic() - asked < this.#settings.lease)
      case 'stored':
        this.#counters.repeated++
        return repeat(claim.outcome, request)
      case 'running':
        return this.#running(request, claim.owner, claim.remaining)
      case 'mismatch':
        break
    }
    this.#counters.mismatched++
    return refusal(
      remoteCodes.idempotencyKeyReused,
      'the idempotency key of this request is known with another content; this delivery did nothing',
    )
  }

  #keyOf(request: RawRequest): { readonly key: string } | { readonly problem: string } | undefined {
    const { key } = this.#settings
    if (key === undefined) return idempotencyKey(request)
    const given: unknown = key(request)
    if (given === undefined) return undefined
    if (typeof given === 'string' && given !== '' && Buffer.byteLength(given) <= 600) return { key: given }
    return { problem: 'must be a text of 1 to 600 bytes' }
  }

  async #claim({ replier, record }: RawRequest, id: IdempotencyId, fingerprint: string): Promise<Claim> {
    const { store, owner, lease, ttl } = this.#settings
    const options = { fingerprint, owner: `${replier.groupId} ${owner}`, lease, ttl }
    const claim = await store.claim(id, options)
    if (claim.kind !== 'stored' || !isDeadLettered(claim.outcome)) return claim
    // A letter that is replayed, to be done after all: only then its failure may be replaced.
    if (lastHeader(record.headers, replayOfName) === undefined) return claim
    return store.claim(id, { ...options, replacing: claim.token })
  }

  async #claimed(
    request: RawRequest,
    next: Next,
    id: IdempotencyId,
    { token, again }: Claim & { readonly kind: 'claimed' },
    isFresh: boolean,
  ): Promise<Outcome> {
    const { store } = this.#settings
    this.#counters.claimed++
    let transaction: IdempotencyTransaction<object> | undefined
    const lost = (): void => {
      this.#lost(request)
      // It comes to nothing any more, and must not be in its successor's way.
      void transaction?.rollback()
    }
    const lease = new Lease(store, request.replier.clock, id, token, this.#settings.lease, lost)
    this.#leases.add(lease)
    const claimed: Claimed = { id, token, again, lease }
    // The claim's answer was long on its way: the request may be somebody else's by now.
    if (!isFresh || !request.owned) {
      await this.#release(request, claimed, again)
      return this.#later(request, Number.POSITIVE_INFINITY)
    }
    try {
      transaction = await store.begin?.()
      if (transaction !== undefined) this.#transactions.add(transaction)
    } catch (error) {
      await this.#release(request, claimed, again)
      return { kind: 'stop', error: errorOf(error) }
    }
    if (transaction === undefined) return this.#kept(request, claimed, undefined, await next())
    const { added } = transaction
    const outcome = await next(added, async () => transaction?.check?.())
    this.#transactions.delete(transaction)
    return this.#kept(request, claimed, transaction, outcome)
  }

  /** The handling has its outcome. */
  async #kept(
    request: RawRequest,
    claimed: Claimed,
    transaction: IdempotencyTransaction<object> | undefined,
    outcome: Outcome,
  ): Promise<Outcome> {
    const { id, again, lease } = claimed
    const verdict = verdictOn(outcome, request)
    if (verdict.keeps !== undefined && verdict.commits && transaction !== undefined) {
      if (!lease.lost) return this.#commit(request, claimed, transaction, outcome, verdict.keeps)
      this.#endLease(lease)
      return this.#settled(request, id, outcome, 'fenced')
    }
    await transaction?.rollback()
    if (verdict.keeps !== undefined) return this.#complete(request, claimed, outcome, verdict.keeps)
    await this.#release(request, claimed, again || verdict.trace)
    return outcome
  }

  #lost({ topic, partition, offset, replier }: RawRequest): void {
    this.#counters.lost++
    const message =
      'a request is still being handled whose idempotency key another process has claimed after its lease; what it does outside of a transaction may be done twice'
    replier.warn(message, { topic, partition, offset })
  }

  #endLease(lease: Lease): void {
    lease.end()
    this.#leases.delete(lease)
  }

  async #complete(
    request: RawRequest,
    { id, token, lease }: Claimed,
    outcome: Outcome,
    keeps: StoredOutcome,
  ): Promise<Outcome> {
    const { store, ttl } = this.#settings
    lease.settle()
    const settling = this.#settling(request, () => store.complete(id, token, keeps, ttl), lease)
    const result = await settling.try()
    if (result !== undefined) return this.#settled(request, id, outcome, result)
    // Its work is done, and is not done again for this: it is told when it is stored.
    this.#unstored.set(request.record, { id, outcome, settling })
    return { kind: 'stop', error: settling.error! }
  }

  async #commit(
    request: RawRequest,
    claimed: Claimed,
    transaction: IdempotencyTransaction<object>,
    outcome: Outcome,
    keeps: StoredOutcome,
  ): Promise<Outcome> {
    const { id, token, lease } = claimed
    lease.settle()
    try {
      const result = await transaction.complete(id, token, keeps, this.#settings.ttl)
      this.#endLease(lease)
      return await this.#settled(request, id, outcome, result)
    } catch (error) {
      // Both are there, or neither: the next claim tells, and this one must not be in its way.
      await transaction.rollback()
      await this.#release(request, claimed, true)
      return { kind: 'stop', error: errorOf(error) }
    }
  }

  async #storedYet(request: RawRequest, { id, outcome, settling }: Unstored): Promise<Outcome> {
    const { result, error } = settling
    if (result === undefined) return { kind: 'stop', error: error! }
    this.#unstored.delete(request.record)
    return this.#settled(request, id, outcome, result)
  }

  async #settled(
    request: RawRequest,
    id: IdempotencyId,
    outcome: Outcome,
    result: 'completed' | 'fenced',
  ): Promise<Outcome> {
    if (result === 'completed') return outcome
    this.#counters.fenced++
    try {
      const found = await this.#settings.store.find(id)
      if (found.kind === 'stored') return repeat(found.outcome, request)
    } catch (error) {
      return { kind: 'stop', error: errorOf(error) }
    }
    return this.#later(request, Number.POSITIVE_INFINITY)
  }

  /** What goes wrong with it is no matter of the request: then the lease ends the claim. */
  async #release(request: RawRequest, { id, token, lease }: Claimed, trace: boolean): Promise<void> {
    const { store } = this.#settings
    this.#endLease(lease)
    this.#counters.released++
    const settling = this.#settling(request, async () => {
      await store.release(id, token, trace)
      return true
    })
    await settling.try()
  }

  #settling<Result>(request: RawRequest, step: () => Promise<Result>, lease?: Lease): Settling<Result> {
    const settling: Settling<Result> & { close(): void } = new Settling(step, request.replier.clock, () => {
      this.#settlings.delete(settling)
      if (lease !== undefined) this.#endLease(lease)
    })
    if (this.#closed) settling.close()
    else this.#settlings.add(settling)
    return settling
  }

  #running(request: RawRequest, owner: string, remaining: number): Outcome {
    const { deadline, replyTo, replier } = request
    const isOver = deadline !== undefined && replier.clock.now() > deadline
    // Where nobody is told, a refusal would be the last that is heard of it.
    if (replyTo === undefined || !(isOver || this.#settings.refuses)) {
      this.#counters.waited++
      return this.#later(request, remaining)
    }
    this.#counters.inProgress++
    const message = `somebody is at work on the idempotency key of this request (${owner}); this delivery did nothing`
    return refusal(remoteCodes.inProgress, message)
  }

  /** Until it may have ended: soon at first, later and later. */
  #later({ record, deadline, replier }: RawRequest, remaining: number): Outcome {
    const waits = this.#waits.get(record) ?? 0
    this.#waits.set(record, waits + 1)
    const now = replier.clock.now()
    const pause = Math.min(longestPause, firstPause * 2 ** Math.min(waits, 10), remaining + 1)
    // At its deadline it is told how it stands.
    const notBefore =
      deadline !== undefined && deadline >= now ? Math.min(now + pause, deadline + 1) : now + pause
    return { kind: 'later', notBefore }
  }

  async #answerTo(operation: string, key: string): Promise<OutcomeAnswer> {
    const { store, scope } = this.#settings
    this.#counters.queries++
    const found = await store.find({ scope: scope(this.#groupId!, operation), key })
    switch (found.kind) {
      case 'stored':
        return { state: 'stored', storedAt: found.storedAt, outcome: found.outcome }
      case 'running':
        return { state: 'running', owner: found.owner, remaining: found.remaining }
      case 'nothing':
        return { state: 'nothing', knowsSince: found.knowsSince }
      default:
        return { state: found.kind }
    }
  }
}

/** Milliseconds before a request looks again whether its key is somebody's still. */
const firstPause = 20
const longestPause = 1_000

function refusal(code: string, message: string): ErrorOutcome {
  return { kind: 'error', code, message }
}
