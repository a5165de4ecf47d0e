import { MilenaError } from '../errors.ts'
import type { SagaDecision, SagaRun } from './runs.ts'
import type { SagaStatus } from './status.ts'

interface WaitingRun {
  readonly decided: PromiseWithResolvers<SagaDecision<never>>
  readonly ended: PromiseWithResolvers<SagaDecision<never>>
}

/** Whoever began a saga here, or asked for one, until it has ended. */
export class WaitingRuns {
  readonly #runs = new Map<string, Set<WaitingRun>>()
  #count = 0

  get count(): number {
    return this.#count
  }

  /** Up to `limit` ids that somebody here waits for; each in its turn, over several calls. */
  next(limit: number, skip: (id: string) => boolean): string[] {
    const ids: string[] = []
    let left = this.#runs.size
    for (const [id, runs] of this.#runs) {
      if (left-- === 0 || ids.length === limit) break
      this.#runs.delete(id)
      this.#runs.set(id, runs)
      if (!skip(id)) ids.push(id)
    }
    return ids
  }

  /** From now on what becomes of the saga reaches it; `take` it or `leave` it. */
  open(id: string): OpenedRun {
    const run: WaitingRun = {
      decided: Promise.withResolvers<SagaDecision<never>>(),
      ended: Promise.withResolvers<SagaDecision<never>>(),
    }
    // Whoever does not look is not to be ended by them.
    run.decided.promise.catch(() => undefined)
    run.ended.promise.catch(() => undefined)
    let runs = this.#runs.get(id)
    if (runs === undefined) this.#runs.set(id, (runs = new Set()))
    runs.add(run)
    this.#count++
    return {
      leave: () => this.#remove(id, run),
      take: (begun) => ({ id, begun, decided: run.decided.promise, ended: run.ended.promise }),
    }
  }

  saw(status: SagaStatus): void {
    const runs = this.#runs.get(status.id)
    if (runs === undefined || status.state === 'running') return
    const decision = decisionOf(status)
    for (const run of runs) {
      run.decided.resolve(decision)
      if (status.endedAt === undefined) continue
      run.ended.resolve(decision)
      this.#remove(status.id, run)
    }
  }

  /** The saga is not in the store any more. */
  missing(id: string): void {
    this.#reject(id, `saga ${id} is not in the store any more: it ended, and was removed`)
  }

  close(): void {
    for (const id of this.#runs.keys())
      this.#reject(id, `the sagas were closed before saga ${id} had ended here`)
  }

  #reject(id: string, message: string): void {
    for (const run of this.#runs.get(id) ?? []) {
      const error = new MilenaError('MILENA_CLOSED', message, {
        sent: 'unknown',
        outcomeKnown: false,
        effect: 'unknown',
      })
      run.decided.reject(error)
      run.ended.reject(error)
      this.#remove(id, run)
    }
  }

  #remove(id: string, run: WaitingRun): void {
    const runs = this.#runs.get(id)
    if (!runs?.delete(run)) return
    this.#count--
    if (runs.size === 0) this.#runs.delete(id)
  }
}

export interface OpenedRun {
  /** Nobody is to wait: it was not begun. */
  leave(): void
  take(begun: boolean): SagaRun<never>
}

function decisionOf(status: SagaStatus): SagaDecision<never> {
  const { state, failure, steps } = status
  const results = Object.fromEntries(steps.map(({ name, result }) => [name, result])) as never
  return {
    outcome: state as Exclude<SagaStatus['state'], 'running'>,
    results: state === 'completed' ? results : undefined,
    failure,
    status,
  }
}
