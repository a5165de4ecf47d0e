import { validate } from '../contract/payload.ts'
import { MilenaError } from '../errors.ts'
import { hasList, refuseUnless } from '../given.ts'
import type { Outcome } from '../replier/outcome.ts'
import type { RawRequest } from '../replier/raw-request.ts'
import { errorOf } from '../words.ts'
import type { AtWork } from './at-work.ts'
import { wait } from './claimed.ts'
import { toDocument } from './documents.ts'
import type { Event } from './driver.ts'
import { failureOf } from './failures.ts'
import type { SagasSettings } from './options.ts'
import { resultsBefore } from './progress.ts'
import { readOutcome, sentWork } from './replies.ts'
import type { StepOutcome } from './sagas.ts'
import { waitingStep, type SagaStatus } from './status.ts'

/** The pause, in milliseconds, before a saga is claimed again that somebody else has. */
const busyPause = 100

type Waits = (status: SagaStatus | undefined) => boolean

/** Ends steps from outside: by a reply to a command, or by `complete`. */
export class Completing {
  readonly #settings: SagasSettings
  readonly #owner: string
  readonly #atWork: AtWork
  readonly #closed: AbortSignal
  /** Whoever waits for the next change of a saga to be saved. */
  readonly #waiting = new Map<string, PromiseWithResolvers<boolean>>()

  constructor(settings: SagasSettings, owner: string, atWork: AtWork, closed: AbortSignal) {
    this.#settings = settings
    this.#owner = owner
    this.#atWork = atWork
    this.#closed = closed
  }

  saved({ id }: SagaStatus): void {
    this.#waiting.get(id)?.resolve(true)
  }

  complete(id: string, step: string, outcome: StepOutcome): Promise<boolean> {
    const { sagas } = this.#settings
    const waits: Waits = (status) =>
      status !== undefined && waitingStep(status.steps)?.name === step && sagas.has(status.saga)
    return this.#withClaim(id, waits, this.#eventOf(step, outcome))
  }

  /** @param complete refuses when the sagas do not run */
  async reply(
    request: RawRequest,
    next: () => Promise<Outcome>,
    complete: (id: string, step: string, outcome: StepOutcome) => Promise<boolean>,
  ): Promise<Outcome> {
    const wanted = 'it is a record middleware and takes its request'
    refuseUnless(hasList(Object(request).record, 'headers'), 'sagas.replies', wanted, request)
    refuseUnless(typeof next === 'function', 'sagas.replies', 'next must be a function', next)
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
      await complete(status.id, name, await readOutcome(work, context, request))
      return { kind: 'done' }
    } catch (thrown) {
      return { kind: 'stop', error: errorOf(thrown) }
    }
  }

  /** Claims a saga that waits, and gives it its event; false when it does not wait (any more). */
  async #withClaim(id: string, waits: Waits, event: Event): Promise<boolean> {
    const { store, clock, lease } = this.#settings
    const until = clock.monotonic() + lease + 1_000
    for (;;) {
      await this.#atWork.on(id)
      const [status] = await store.read([id])
      if (status === undefined || !waits(status)) return false
      if (await this.#atWork.claiming(id, () => this.#claimFor(id, waits, event))) return true
      if (this.#closed.aborted || clock.monotonic() >= until) {
        throw new MilenaError('MILENA_SAGA_BUSY', `saga ${id} is being worked on by another process`)
      }
      await wait(clock, busyPause, this.#closed)
    }
  }

  /** Whether it could be claimed, and the change with the event was saved. */
  async #claimFor(id: string, waits: Waits, event: Event): Promise<boolean> {
    const claimed = await this.#settings.store.claim(id, this.#owner)
    if (claimed === undefined) return false
    if (!waits(claimed.status)) {
      await this.#atWork.letGo(claimed)
      return false
    }
    const saved = Promise.withResolvers<boolean>()
    this.#waiting.set(id, saved)
    this.#atWork.drive(claimed, (driver) => driver.drive(event))
    void this.#atWork.on(id)?.then(() => saved.resolve(false))
    try {
      return await saved.promise
    } finally {
      this.#waiting.delete(id)
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
}
