import { isDeepStrictEqual } from 'node:util'
import { validate } from '../contract/payload.ts'
import { MilenaError, OptionsError, ValidationError } from '../errors.ts'
import { closeTimeout, unknownOptions } from '../given.ts'
import type { RecordMiddleware } from '../replier/record-middleware.ts'
import { Warnings } from '../warnings.ts'
import { classOf, errorOf, foreign, wordsOf } from '../words.ts'
import { AtWork } from './at-work.ts'
import { ClaimedStore, wait } from './claimed.ts'
import { Completing } from './completing.ts'
import type { AnySaga, Saga } from './definition.ts'
import { toDocument } from './documents.ts'
import { isTried } from './driver.ts'
import { checkFilter } from './filter.ts'
import type { SagaHealth } from './health.ts'
import { Lease } from './lease.ts'
import { readSagasOptions, type SagasOptions, type SagasSettings } from './options.ts'
import { actionBegun, begunSaga } from './progress.ts'
import { Rounds } from './rounds.ts'
import type { SagaRun } from './runs.ts'
import type { Sagas, StepOutcome } from './sagas.ts'
import type { SagaStatus } from './status.ts'
import type { SagaCounts, SagaFilter, SagaPage } from './store.ts'
import { Trouble } from './trouble.ts'
import { WaitingRuns } from './waiting-runs.ts'
import { watchChanges } from './watching.ts'

/** Ended sagas are removed in portions of so many, once in so many milliseconds. */
const removal = { portion: 1_000, interval: 60_000 }
/** The most runs whose sagas others have that are looked at in a round. */
const mostLooks = 500
const knownOfWatch: ReadonlySet<string> = new Set(['signal'])
/** Milliseconds that `close` waits for the store when everything was aborted. */
const closingTime = 5_000
/**
 *     new ── start ──▶ running ── close ──▶ closing ──▶ closed
 *
 * Three things go round while it runs: the lease is renewed; what is due is claimed and driven, as far as there is room; and
 * what has ended long ago is removed.
 */
export class OpenSagas implements Sagas {
  readonly replies: RecordMiddleware
  readonly #settings: SagasSettings
  readonly #owner: string
  readonly #warnings: Warnings
  readonly #runs = new WaitingRuns()
  readonly #abort = new AbortController()
  readonly #trouble: Trouble
  readonly #atWork: AtWork
  readonly #completing: Completing
  readonly #lease: Lease
  readonly #due: Rounds
  readonly #removal: Rounds
  #state: SagaHealth['state'] = 'new'
  #closing: Promise<void> | undefined

  constructor(settings: SagasSettings) {
    const { clock, interval, lease, store, random } = settings
    const { signal } = this.#abort
    this.#settings = settings
    this.#owner = random(16).toString('hex')
    this.#warnings = new Warnings({ who: 'sagas', always: {}, logger: settings.logger, clock })
    this.#trouble = new Trouble(clock, this.#warnings, signal)
    this.#lease = new Lease(this.#owner, store, clock, lease, this.#trouble)
    const claimed = new ClaimedStore(store, clock, this.#trouble, signal)
    this.#atWork = new AtWork(settings, this.#owner, claimed, this.#warnings, {
      saved: (status) => this.#saved(status),
      dueIn: (milliseconds) => this.#due.within(milliseconds),
      room: () => this.#due.within(0),
      closing: () => this.#state !== 'running',
      stuck: (status) => this.#stuck(status),
      stop: () => AbortSignal.any([signal, this.#lease.hold]),
    })
    this.#completing = new Completing(settings, this.#owner, this.#atWork, signal)
    this.#due = new Rounds(clock, interval, () => this.#takeUp())
    this.#removal = new Rounds(clock, removal.interval, () => this.#remove())
    const complete: Sagas['complete'] = (id, step, outcome) => this.complete(id, step, outcome)
    this.replies = (request, next) => this.#completing.reply(request, next, complete)
  }

  async start(): Promise<void> {
    if (this.#state !== 'new') throw new OptionsError('sagas.start', ['they were started already'])
    await this.#lease.begin()
    this.#state = 'running'
    await Promise.all([this.#lease.keep(), this.#due.start(), this.#removal.start()])
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
      return run.take(await this.#atWork.claiming(id, () => this.#begin(saga, id, document)))
    } catch (error) {
      run.leave()
      throw error
    }
  }

  async get(id: string): Promise<SagaStatus | undefined> {
    return (await this.#settings.store.read([id]))[0]
  }

  list(filter: SagaFilter = {}): Promise<SagaPage> {
    checkFilter(filter)
    return this.#settings.store.list(filter)
  }

  watch(options: { readonly signal?: AbortSignal | undefined } = {}): AsyncIterable<SagaStatus> {
    const problems = unknownOptions('sagas.watch', options, knownOfWatch)
    if (options.signal !== undefined && !((options.signal as unknown) instanceof AbortSignal))
      problems.push(`signal must be an AbortSignal, not ${classOf(options.signal)}`)
    if (problems.length > 0) throw new OptionsError('sagas.watch', problems)
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
      working: this.#atWork.size,
      runs: this.#runs.count,
      trouble: this.#trouble.now,
    }
  }

  async complete(id: string, step: string, outcome: StepOutcome): Promise<boolean> {
    this.#refuseUnlessRunning()
    if (
      typeof outcome !== 'object' ||
      (outcome as unknown) === null ||
      !('error' in outcome || 'result' in outcome)
    ) {
      const problem = `the outcome must be { result } or { error }, not ${classOf(outcome)}`
      throw new OptionsError('sagas.complete', [problem])
    }
    return this.#completing.complete(id, step, outcome)
  }

  async retryNow(id: string): Promise<boolean> {
    this.#refuseUnlessRunning()
    if (this.#atWork.on(id) !== undefined) return false
    return this.#atWork.claiming(id, async () => {
      const claimed = await this.#settings.store.claim(id, this.#owner)
      if (claimed === undefined) return false
      if (!this.#settings.sagas.has(claimed.status.saga)) {
        await this.#atWork.letGo(claimed)
        return false
      }
      this.#atWork.drive(claimed)
      return true
    })
  }

  close(options?: { readonly timeout?: number | undefined }): Promise<void> {
    let timeout: number
    try {
      timeout = closeTimeout('sagas.close', options, this.#settings.drainTimeout)
    } catch (error) {
      return Promise.reject(errorOf(error))
    }
    return (this.#closing ??= this.#close(timeout))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(timeout: number): Promise<void> {
    const started = this.#state === 'running'
    this.#state = 'closing'
    const enough = new AbortController()
    const drained = Promise.all([this.#due.stop(), this.#removal.stop()])
      .then(() => this.#atWork.ended())
      .then(() => enough.abort())
    await Promise.race([drained, wait(this.#settings.clock, timeout, enough.signal)])
    this.#abort.abort(new MilenaError('MILENA_CLOSED', 'the sagas are closed'))
    const gone = new AbortController()
    const rest = this.#leave(started).then(() => gone.abort())
    await Promise.race([rest, wait(this.#settings.clock, closingTime, gone.signal)])
    this.#runs.close()
    this.#warnings.close()
    this.#state = 'closed'
  }

  async #leave(started: boolean): Promise<void> {
    await Promise.all([this.#atWork.ended(), this.#lease.stop()])
    // Else its sagas are taken up when the lease has run out.
    if (started) await this.#settings.store.retire(this.#owner).catch(() => undefined)
  }

  /** Stores it; whether it was not there. */
  async #begin(saga: AnySaga, id: string, input: unknown): Promise<boolean> {
    const { store, clock } = this.#settings
    using place = this.#atWork.reserve()
    const first = saga.steps[0]!
    const status = begunSaga(id, saga.name, input, clock.now())
    const begins = place !== undefined && isTried(first.action)
    const created = begins ? actionBegun(first, status) : status
    const { changed } = saga
    const write =
      changed === undefined
        ? undefined
        : async (transaction: unknown): Promise<void> => changed(created, transaction as never)
    const claim = await store.create(created, place && this.#owner, write)
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
    if (place === undefined) this.#due.within(0)
    else if (begins) this.#atWork.drive({ ...claim, status: created }, (driver) => driver.driveFirst(first))
    else this.#atWork.drive({ ...claim, status: created })
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

  async #takeUp(): Promise<void> {
    try {
      await this.#atWork.takeUp()
      await this.#lookAtRuns()
      this.#trouble.ended()
    } catch (thrown) {
      this.#trouble.began(thrown)
    }
  }

  /** What others have done with the sagas that somebody here waits for. */
  async #lookAtRuns(): Promise<void> {
    const busy = (id: string): boolean => this.#atWork.isBusy(id)
    const ids = this.#runs.next(mostLooks, busy)
    if (ids.length === 0) return
    const found = await this.#settings.store.read(ids)
    for (const status of found) this.#runs.saw(status)
    const there = new Set(found.map(({ id }) => id))
    for (const id of ids) if (!there.has(id) && !busy(id)) this.#runs.missing(id)
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

  #saved(status: SagaStatus): void {
    this.#runs.saw(status)
    this.#completing.saved(status)
  }

  #stuck({ id, saga, trouble }: SagaStatus): void {
    const details = trouble === undefined ? { id, saga } : { id, saga, trouble }
    this.#warnings.tell('a saga is stuck; it is tried again', details)
  }

  #refuseUnlessRunning(): void {
    if (this.#state === 'running') return
    const message = this.#state === 'new' ? 'the sagas were not started' : 'the sagas are closed'
    throw new MilenaError('MILENA_CLOSED', message)
  }

  #refuseStranger(saga: AnySaga, id: string): void {
    const problems: string[] = []
    const { name }: { readonly name?: unknown } = Object(saga)
    if (typeof name !== 'string') {
      problems.push(`the saga must be one that defineSaga has made, not ${classOf(saga)}`)
    } else if (this.#settings.sagas.get(name) !== saga) {
      problems.push(`saga ${name} is not among those of createSagas`)
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
