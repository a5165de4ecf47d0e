/** A trigger: one change for each of its shops, so many at a time. */
import type { Requester } from '@milena/request-reply'
import { createHistogram } from 'node:perf_hooks'
import type { ChangeRadius, ChangeRequest } from '../domain/messages.ts'
import type { ChangeStore } from './change-store.ts'
import { changeOf, messageOf } from './outcome.ts'
import type { Change, Progress, TriggerRequest } from './schemas.ts'

/** Changes of a trigger that are in flight at once. */
const concurrency = 1_000

export interface TriggerParts {
  readonly requester: Requester
  readonly operation: ChangeRadius
  readonly store: ChangeStore
}

export class Trigger {
  readonly id: string
  readonly total: number
  readonly #request: TriggerRequest
  readonly #counts: Record<Change['status'], number> = { done: 0, failed: 0, unknown: 0 }
  readonly #unknown = new Set<string>()
  /** What late replies said of changes that had not come here yet. */
  readonly #late = new Map<string, Change['status']>()
  /** Of fixed size, however many it counts. */
  readonly #roundTrips = createHistogram({ lowest: 1, highest: 3_600_000, figures: 3 })
  readonly #beganAt = performance.now()
  #endedAt: number | undefined
  #stopping = false
  readonly #requester: string

  /** @param requester names whom it is begun at */
  constructor(id: string, request: TriggerRequest, requester: string) {
    this.id = id
    this.#request = request
    this.#requester = requester
    const { shops } = request
    this.total = 'from' in shops ? shops.to - shops.from + 1 : shops.length
  }

  get state(): Progress['state'] {
    if (this.#endedAt === undefined) return 'running'
    const { done, failed, unknown } = this.#counts
    return done + failed + unknown === this.total ? 'finished' : 'interrupted'
  }

  /** Resolves when every change has its outcome, and those that were not made are stored. */
  async run({ requester, operation, store }: TriggerParts): Promise<void> {
    const options = { concurrency, timeout: this.#request.timeout }
    try {
      for await (const result of requester.requestEach(operation, this.#messages(), options)) {
        if (result.error === undefined) {
          this.#counts.done++
          this.#roundTrips.record(Math.max(1, Math.round(result.reply.roundTrip)))
        } else {
          const change = changeOf(result.item, result.error)
          this.#count(change)
          await store.put(change)
        }
      }
      await store.written()
    } finally {
      this.#endedAt = performance.now()
    }
  }

  /** Asks for no more changes; those that were asked for get their outcomes. */
  stop(): void {
    this.#stopping = true
  }

  /** A reply has come to a change that was given up. */
  takeLate({ id, status }: Change): void {
    if (this.#unknown.has(id)) this.#move(id, status)
    else if (this.state === 'running') this.#late.set(id, status)
  }

  progress(): Progress {
    const { kind, action } = this.#request
    const { done, failed, unknown } = this.#counts
    const seconds = ((this.#endedAt ?? performance.now()) - this.#beganAt) / 1_000
    return {
      id: this.id,
      requester: this.#requester,
      kind,
      action,
      total: this.total,
      done,
      failed,
      unknown,
      state: this.state,
      finished: this.state === 'finished',
      rate: Math.round((done + failed + unknown) / seconds),
      p50: this.#roundTrips.percentile(50),
      p99: this.#roundTrips.percentile(99),
    }
  }

  *#messages(): Generator<ChangeRequest> {
    const { shops } = this.#request
    for (const shop of 'from' in shops ? shopsBetween(shops) : shops) {
      if (this.#stopping) return
      yield messageOf(this.id, shop, this.#request)
    }
  }

  #count({ id, status }: Change): void {
    this.#counts[status]++
    if (status !== 'unknown') return
    this.#unknown.add(id)
    const late = this.#late.get(id)
    if (late !== undefined) this.#move(id, late)
  }

  #move(id: string, to: Change['status']): void {
    if (to === 'unknown') return
    this.#unknown.delete(id)
    this.#counts.unknown--
    this.#counts[to]++
  }
}

function* shopsBetween({ from, to }: { readonly from: number; readonly to: number }): Generator<string> {
  for (let number = from; number <= to; number++) yield `shop-${number}`
}
