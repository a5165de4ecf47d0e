import { isDeepStrictEqual } from 'node:util'
import { validate } from '../contract/payload.ts'
import { MilenaError, OptionsError, ValidationError } from '../errors.ts'
import type { Outcome } from '../replier/outcome.ts'
import type { RawRequest } from '../replier/raw-request.ts'
import type { RecordMiddleware } from '../replier/record-middleware.ts'
import { Warnings } from '../replier/warnings.ts'
import { errorOf, foreign, wordsOf } from '../words.ts'
import { ClaimedStore, wait, type StoreTrouble } from './claimed.ts'
import type { AnySaga, Saga } from './definition.ts'
import { toDocument } from './documents.ts'
import { Driver, isTried, type DriverHooks, type Event } from './driver.ts'
import { failureOf } from './failures.ts'
import type { SagaHealth } from './health.ts'
import { readSagasOptions, type SagasOptions, type SagasSettings } from './options.ts'
import { actionBegun, begunSaga, resultsBefore } from './progress.ts'
import { readOutcome, sentWork } from './replies.ts'
import { Rounds } from './rounds.ts'
import type { SagaRun } from './runs.ts'
import type { Sagas, StepOutcome } from './sagas.ts'
import { waitingStep, type SagaStatus } from './status.ts'
import type { ClaimedSaga, SagaCounts, SagaFilter, SagaPage } from './store.ts'
import { WaitingRuns } from './waiting-runs.ts'
import { watchChanges } from './watching.ts'

/** Ended sagas are removed in portions of so many, once in so many milliseconds. */
const removal = { portion: 1_000, interval: 60_000 }
/** The most runs whose sagas others have that are looked at in a round. */
const mostLooks = 500
/** Milliseconds that `close` waits for the store when everything was aborted. */
const closingTime = 5_000
/** The pause, in milliseconds, before a saga is claimed again that somebody else has. */
const busyPause = 100

/**
 *     new ── start ──▶ running ── close ──▶ closing ──▶ closed
 *
 * Three things go round while it runs: the lease is renewed; what is due is claimed and driven, as far as there is room; and
 * what has ended long ago is removed. A saga that is being worked on here is in `#working`, and only then.
 */
export class OpenSagas implements Sagas {
  readonly replies: RecordMiddleware
  readonly #settings: SagasSettings
  readonly #owner: string
  readonly #store: ClaimedStore
  readonly #warnings: Warnings
  readonly #runs = new WaitingRuns()
  readonly #working = new Map<string, Promise<void>>()
  /** Places among `concurrency` for those that are being begun. */
  #reserved = 0
  /** Being begun or claimed: the store may have it in our name. */
  readonly #underWay = new Set<string>()
  /** Whether the store may have sagas in our name that nobody here works on. */
  #lost = false
  /** Whether there was no room for all that is due when it was last looked at. */
  #full = false
  /** Whoever waits for the next change of a saga to be saved. */
  readonly #completing = new Map<string, PromiseWithResolvers<boolean>>()
  readonly #abort = new AbortController()
  /** Fires when the lease has run out: others may have our sagas. */
  #hold = new AbortController()
  readonly #hooks: DriverHooks
  readonly #due: Rounds
  readonly #lease: Rounds
  readonly #removal: Rounds
  readonly #trouble: StoreTrouble
  #state: SagaHealth['state'] = 'new'
  #troubled: SagaHealth['trouble']
  #renewedAt = 0
  #closing: Promise<void> | undefined

  constructor(settings: SagasSettings) {
    const { clock, interval, lease, store, random } = settings
    this.#settings = settings
    this.#owner = random(16).toString('hex')
    this.#warnings = new Warnings(settings.logger, 'sagas')
    this.#trouble = { began: (thrown) => this.#troubleBegan(thrown), ended: () => this.#troubleEnded() }
    this.#store = new ClaimedStore(store, clock, this.#trouble, this.#abort.signal)
    this.#hooks = {
      saved: (status) => this.#saved(status),
      dueIn: (milliseconds) => this.#due.within(milliseconds),
      closing: () => this.#state !== 'running',
      stuck: (status) => this.#stuck(status),
      stop: () => AbortSignal.any([this.#abort.signal, this.#hold.signal]),
      left: () => void (this.#lost = true),
    }
    this.#due = new Rounds(clock, interval, () => this.#takeUp())
    this.#lease = new Rounds(clock, lease / 3, () => this.#renew())
    this.#removal = new Rounds(clock, removal.interval, () => this.#remove())
    this.replies = (request, next) => this.#reply(request, next)
  }

  async start(): Promise<void> {
    if (this.#state !== 'new') throw new OptionsError('sagas.start', ['they were started already'])
    await this.#settings.store.renew(this.#owner, this.#settings.lease)
    this.#renewedAt = this.#settings.clock.monotonic()
    this.#state = 'running'
    await Promise.all([this.#lease.start(), this.#due.start(), this.#removal.start()])
  }

  async run<Given, Input, Results>(
    saga: Saga<Given, Input, Results, never>,
    id: string,
    input: Given,
  ): Promise<SagaRun<Results>> {
    this.#refuseUnlessRunning()
    this.#refuseStranger(saga, id)
    const document = await this.#readInput(saga, input)
    this.#refuseUnlessRunning()
    if (this.#runs.count >= this.#settings.maxRuns) {
      const message = `${this.#runs.count} sagas that were begun here have not ended (maxRuns)`
      throw new MilenaError('MILENA_OVERLOADED', message)
    }
    const run = this.#runs.open(id)
    try {
      return run.take(await this.#claiming(id, () => this.#begin(saga, id, document)))
    } catch (error) {
      run.leave()
      throw error
    }
  }

  async get(id: string): Promise<SagaStatus | undefined> {
    return (await this.#settings.store.read([id]))[0]
  }

  list(filter: SagaFilter = {}): Promise<SagaPage> {
    const { limit } = filter
    if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 1 && limit <= 1_000)) {
      throw new OptionsError('sagas.list', [`limit must be a whole number from 1 to 1000, not ${limit}`])
    }
    return this.#settings.store.list(filter)
  }

  watch(options: { readonly signal?: AbortSignal | undefined } = {}): AsyncIterable<SagaStatus> {
    const { store, clock, interval } = this.#settings
    const signals = [this.#abort.signal, ...(options.signal === undefined ? [] : [options.signal])]
    return watchChanges(store, clock, interval, this.#trouble, AbortSignal.any(signals))
  }

  stats(): Promise<SagaCounts> {
    return this.#settings.store.count()
  }

  health(): SagaHealth {
    return {
      state: this.#state,
      working: this.#working.size,
      runs: this.#runs.count,
      trouble: this.#troubled,
    }
  }

  async complete(id: string, step: string, outcome: StepOutcome): Promise<boolean> {
    this.#refuseUnlessRunning()
    const event = this.#eventOf(step, outcome)
    const { sagas } = this.#settings
    const waits = (status: SagaStatus | undefined): boolean =>
      status !== undefined && waitingStep(status.steps)?.name === step && sagas.has(status.saga)
    return this.#withClaim(id, waits, event)
  }

  async retryNow(id: string): Promise<boolean> {
    this.#refuseUnlessRunning()
    if (this.#working.has(id)) return false
    return this.#claiming(id, async () => {
      const claimed = await this.#settings.store.claim(id, this.#owner)
      if (claimed === undefined) return false
      if (!this.#settings.sagas.has(claimed.status.saga)) {
        await this.#letGo(claimed)
        return false
      }
      this.#drive(claimed, (driver) => driver.drive())
      return true
    })
  }

  close({
    timeout = this.#settings.drainTimeout,
  }: { readonly timeout?: number | undefined } = {}): Promise<void> {
    return (this.#closing ??= this.#close(timeout))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(timeout: number): Promise<void> {
    const started = this.#state === 'running'
    this.#state = 'closing'
    await Promise.all([this.#due.stop(), this.#removal.stop()])
    const enough = new AbortController()
    const drained = Promise.all(this.#working.values()).then(() => enough.abort())
    await Promise.race([drained, wait(this.#settings.clock, timeout, enough.signal)])
    this.#abort.abort(new MilenaError('MILENA_CLOSED', 'the sagas are closed'))
    const gone = new AbortController()
    const rest = this.#leave(started).then(() => gone.abort())
    await Promise.race([rest, wait(this.#settings.clock, closingTime, gone.signal)])
    this.#runs.close()
    this.#state = 'closed'
  }

  async #leave(started: boolean): Promise<void> {
    await Promise.all([...this.#working.values(), this.#lease.stop()])
    // Else its sagas are taken up when the lease has run out.
    if (started) await this.#settings.store.retire(this.#owner).catch(() => undefined)
  }

  /** Stores it; whether it was not there. */
  async #begin(saga: AnySaga, id: string, input: unknown): Promise<boolean> {
    const { store, clock } = this.#settings
    const room = this.#room > 0
    const first = saga.steps[0]!
    const status = begunSaga(id, saga.name, input, clock.now())
    const begins = room && isTried(first.action)
    const created = begins ? actionBegun(first, status) : status
    const { changed } = saga
    const write =
      changed === undefined
        ? undefined
        : async (transaction: unknown): Promise<void> => changed(created, transaction as never)
    if (room) this.#reserved++
    const claim = await store
      .create(created, room ? this.#owner : undefined, write)
      .finally(() => room && this.#reserved--)
    if ('existing' in claim) {
      const { existing } = claim
      if (existing.saga !== saga.name || !isDeepStrictEqual(existing.input, input)) {
        const what = existing.saga === saga.name ? 'with another input' : `for saga ${existing.saga}`
        throw new MilenaError(
          'MILENA_SAGA_CONFLICT',
          `saga ${saga.name}: the id ${id} was used before ${what}`,
        )
      }
      this.#runs.saw(existing)
      return false
    }
    if (!room) this.#due.within(0)
    else if (begins) this.#drive({ ...claim, status: created }, (driver) => driver.driveFirst(first))
    else this.#drive({ ...claim, status: created }, (driver) => driver.drive())
    return true
  }

  async #readInput(saga: AnySaga, input: unknown): Promise<unknown> {
    let document: unknown
    try {
      document = toDocument('the input', input, this.#settings.maxBytes)
    } catch (cause) {
      const issue = { path: '', message: wordsOf(cause) }
      throw new ValidationError('MILENA_REQUEST_INVALID', `saga ${saga.name}`, [issue], { cause })
    }
    const checked = await validate(saga.input, document)
    if ('issues' in checked) {
      throw new ValidationError('MILENA_REQUEST_INVALID', `saga ${saga.name}`, checked.issues)
    }
    return document
  }

  /** Works on a saga that is ours, in the background. */
  #drive(claimed: Omit<ClaimedSaga, 'dueIn'>, go: (driver: Driver) => Promise<void>): void {
    const { id, status } = claimed
    const saga = this.#settings.sagas.get(status.saga)!
    const driver = new Driver(this.#settings, this.#store, this.#hooks, saga, claimed)
    const working = go(driver)
      .catch((thrown: unknown) => {
        this.#lost = true
        this.#warnings.tell('working on a saga failed; it is tried again', { id, saga: saga.name }, thrown)
      })
      .finally(() => {
        this.#working.delete(id)
        if (this.#full) this.#due.within(0)
      })
    this.#working.set(id, working)
  }

  /** How many more can be worked on. */
  get #room(): number {
    return this.#settings.concurrency - this.#working.size - this.#reserved
  }

  async #takeUp(): Promise<void> {
    const { store, sagas } = this.#settings
    try {
      if (this.#lost) await this.#takeUpLost()
      const room = this.#room
      this.#full = room <= 0
      if (room > 0) {
        const due = await store.claimDue(this.#owner, [...sagas.keys()], room)
        this.#full = due.length === room
        for (const claimed of due) this.#drive(claimed, (driver) => driver.drive())
      }
      await this.#lookAtRuns()
      this.#trouble.ended()
    } catch (thrown) {
      this.#lost = true
      this.#trouble.began(thrown)
    }
  }

  /** An answer of the store's was lost, or a driver has failed: the sagas stand in our name, and nobody works on them. */
  async #takeUpLost(): Promise<void> {
    const { store, sagas } = this.#settings
    const room = this.#room
    if (room <= 0) return
    this.#lost = false
    const own = await store.claimOwn(this.#owner, [...this.#working.keys(), ...this.#underWay], room)
    this.#lost ||= own.length === room
    for (const claimed of own) {
      if (sagas.has(claimed.status.saga)) this.#drive(claimed, (driver) => driver.drive())
      else await this.#letGo(claimed)
    }
  }

  /** While it is being begun or claimed; when that fails, the store may have done it all the same. */
  async #claiming<Result>(id: string, run: () => Promise<Result>): Promise<Result> {
    const first = !this.#underWay.has(id)
    this.#underWay.add(id)
    try {
      return await run()
    } catch (error) {
      this.#lost = true
      throw error
    } finally {
      if (first) this.#underWay.delete(id)
    }
  }

  /** What others have done with the sagas that somebody here waits for. */
  async #lookAtRuns(): Promise<void> {
    const busy = (id: string): boolean => this.#working.has(id) || this.#underWay.has(id)
    const ids = this.#runs.next(mostLooks, busy)
    if (ids.length === 0) return
    const found = await this.#settings.store.read(ids)
    for (const status of found) this.#runs.saw(status)
    const there = new Set(found.map(({ id }) => id))
    for (const id of ids) if (!there.has(id) && !busy(id)) this.#runs.missing(id)
  }

  async #renew(): Promise<void> {
    const { store, lease, clock } = this.#settings
    const began = clock.monotonic()
    if (began - this.#renewedAt >= lease) {
      this.#hold.abort(new MilenaError('MILENA_CLOSED', 'the lease has run out: others may have the saga'))
      this.#hold = new AbortController()
    }
    try {
      await store.renew(this.#owner, lease)
      this.#renewedAt = began
    } catch (thrown) {
      this.#trouble.began(thrown)
    }
  }

  async #remove(): Promise<void> {
    const { store, keep } = this.#settings
    try {
      while ((await store.removeEnded(keep, removal.portion)) === removal.portion) {
        if (this.#state !== 'running') return
      }
    } catch (thrown) {
      this.#trouble.began(thrown)
    }
  }

  /** Claims a saga that waits, and gives it its event; false when it does not wait (any more). */
  async #withClaim(
    id: string,
    waits: (status: SagaStatus | undefined) => boolean,
    event: Event,
  ): Promise<boolean> {
    const { store, clock, lease } = this.#settings
    const until = clock.monotonic() + lease + 1_000
    for (;;) {
      await this.#working.get(id)
      const [status] = await store.read([id])
      if (status === undefined || !waits(status)) return false
      if (await this.#claiming(id, () => this.#claimFor(id, waits, event))) return true
      if (this.#abort.signal.aborted || clock.monotonic() >= until) {
        throw new MilenaError('MILENA_SAGA_BUSY', `saga ${id} is being worked on by another process`)
      }
      await wait(clock, busyPause, this.#abort.signal)
    }
  }

  /** Whether it could be claimed, and the change with the event was saved. */
  async #claimFor(
    id: string,
    waits: (status: SagaStatus | undefined) => boolean,
    event: Event,
  ): Promise<boolean> {
    const claimed = await this.#settings.store.claim(id, this.#owner)
    if (claimed === undefined) return false
    if (!waits(claimed.status)) {
      await this.#letGo(claimed)
      return false
    }
    const saved = Promise.withResolvers<boolean>()
    this.#completing.set(id, saved)
    this.#drive(claimed, (driver) => driver.drive(event))
    void this.#working.get(id)?.then(() => saved.resolve(false))
    try {
      return await saved.promise
    } finally {
      this.#completing.delete(id)
    }
  }

  /** As it was before it was claimed. */
  async #letGo({ dueIn, status, ...claim }: ClaimedSaga): Promise<void> {
    await this.#settings.store.save(claim, { status, free: { dueIn } })
  }

  async #reply(request: RawRequest, next: () => Promise<Outcome>): Promise<Outcome> {
    const correlationId = request.correlationId?.toString('hex')
    if (correlationId === undefined || correlationId.length !== 32) return next()
    try {
      const status = await this.#settings.store.waitingFor(correlationId)
      const saga = this.#settings.sagas.get(status?.saga ?? '')
      const work = status === undefined || saga === undefined ? undefined : sentWork(saga, status)
      if (status === undefined || saga === undefined || work === undefined) return await next()
      const { name } = waitingStep(status.steps)!
      const checked = await validate(saga.input, status.input)
      const context = {
        sagaId: status.id,
        input: 'issues' in checked ? status.input : checked.value,
        results: resultsBefore(status, name),
        attempt: 1,
        idempotencyKey: '',
        signal: request.signal,
      }
      await this.complete(status.id, name, await readOutcome(work, context, request))
      return { kind: 'done' }
    } catch (thrown) {
      return { kind: 'stop', error: errorOf(thrown) }
    }
  }

  #eventOf(step: string, outcome: StepOutcome): Event {
    if ('error' in outcome) return { kind: 'failed', step, failure: failureOf(outcome.error) }
    try {
      const result = toDocument('the result', outcome.result, this.#settings.maxBytes)
      return { kind: 'done', step, result }
    } catch (thrown) {
      return { kind: 'failed', step, failure: failureOf(thrown, 'done') }
    }
  }

  #saved(status: SagaStatus): void {
    this.#runs.saw(status)
    this.#completing.get(status.id)?.resolve(true)
  }

  #stuck({ id, saga, trouble }: SagaStatus): void {
    const details = trouble === undefined ? { id, saga } : { id, saga, trouble }
    this.#warnings.tell('a saga is stuck; it is tried again', details)
  }

  #troubleBegan(thrown: unknown): void {
    if (this.#abort.signal.aborted) return
    if (this.#troubled === undefined) {
      this.#troubled = { since: this.#settings.clock.now(), message: wordsOf(thrown) }
      this.#warnings.tell('the saga store cannot be used; it is tried again', {}, thrown)
    }
  }

  #troubleEnded(): void {
    this.#troubled = undefined
  }

  #refuseUnlessRunning(): void {
    if (this.#state === 'running') return
    const message = this.#state === 'new' ? 'the sagas were not started' : 'the sagas are closed'
    throw new MilenaError('MILENA_CLOSED', message)
  }

  #refuseStranger(saga: AnySaga, id: string): void {
    const problems: string[] = []
    if (this.#settings.sagas.get(saga.name) !== saga) {
      problems.push(`saga ${saga.name} is not among those of createSagas`)
    }
    // It stands in headers and keys, and with a step's name in idempotency keys.
    if (typeof id !== 'string' || id === '' || Buffer.byteLength(id) > 128 || foreign(id) !== id) {
      problems.push('id must be a text of 1 to 128 bytes without control characters')
    }
    if (problems.length > 0) throw new OptionsError('sagas.run', problems)
  }
}

/** @throws OptionsError `MILENA_OPTIONS_INVALID`, listing every problem */
export function createSagas<Transaction>(options: SagasOptions<Transaction>): Sagas {
  return new OpenSagas(readSagasOptions(options))
}
