/**
 * A handler that is given many requests at once, for work that costs little more for hundreds than for one: a statement
 * of a database, a call of another service.
 *
 *   handlers begin ──▶ gathering ──nothing runs, or the batch is full──▶ one batch ──▶ each request its own outcome
 *
 * Nothing waits in order to gather: what begins while a batch runs is the next one.
 */
import { OptionsError, remoteCodes, ReplyError } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import { classOf, said } from '../words.ts'
import { RequestContext, type HandlerContext } from './context.ts'
import type { Handler } from './replier.ts'

/** One request of a batch. */
export interface BatchRequest<Request, Added extends object = object> {
  readonly value: Request
  readonly context: HandlerContext & Added
}

/**
 * Does the work of all of them. Returns one outcome for each, in the order of the requests: its reply, or an Error as if a
 * handler had thrown it (a `ReplyError` for its code). What it throws itself is the outcome of every request.
 */
export type BatchWork<Request, Reply, Added extends object = object> = (
  requests: readonly BatchRequest<Request, Added>[],
) => Promise<readonly (Reply | Error)[]> | readonly (Reply | Error)[]

export interface BatchOptions {
  /** The most requests of a batch; default 500. There are never more than the replier's `concurrency`. */
  readonly size?: number | undefined
  /** How many batches run at once; default 1. */
  readonly running?: number | undefined
}

const known: ReadonlySet<string> = new Set<keyof BatchOptions>(['size', 'running'])

interface Waiting {
  readonly request: BatchRequest<unknown>
  resolve(reply: unknown): void
  reject(error: unknown): void
}

/**
 * Makes a handler of batches one for `replier.handle`. Requests of one key are still handled one after the other: of each
 * key there is at most one in a batch, and none in two batches at once. Middleware stands around each request by itself,
 * and so do deadlines and `handlerTimeout`: a request whose time is over, or whose partition is gone, before its batch
 * begins is in none. A batch keeps its place among `running` until its work ends, so let that have a limit of its own (one
 * that does not end shows as `oldestInHand` of `health()`, and in the warning after `slowAfter`). Let
 * the replier's `concurrency` be at least `size`.
 *
 * @throws OptionsError `MILENA_OPTIONS_INVALID`
 */
export function batchHandler<Request, Reply, Added extends object = object>(
  // The reply is the operation's: else an Error among the outcomes would be taken for one.
  work: BatchWork<Request, NoInfer<Reply>, Added>,
  options: BatchOptions = {},
): Handler<Request, Reply, Added> {
  const { size, running } = read(work, options)
  const batches = new Batches(work as BatchWork<unknown, unknown>, size, running)
  return (value, context) => batches.add({ value, context }) as Promise<Reply>
}

class Batches {
  readonly #work: BatchWork<unknown, unknown>
  readonly #size: number
  readonly #most: number
  #waiting: Waiting[] = []
  #running = 0
  #scheduled = false

  constructor(work: BatchWork<unknown, unknown>, size: number, most: number) {
    this.#work = work
    this.#size = size
    this.#most = most
  }

  add(request: BatchRequest<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject })
      this.#schedule()
    })
  }

  /** Whatever else begins in this turn of the event loop goes along. */
  #schedule(): void {
    if (this.#scheduled || this.#running >= this.#most || this.#waiting.length === 0) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      const batch = this.#next()
      if (batch.length > 0) {
        this.#running++
        void this.#run(batch)
      }
      this.#schedule()
    })
  }

  /** What has been waiting behind another batch may not be wanted any more, or be somebody else's. */
  #next(): readonly Waiting[] {
    const batch: Waiting[] = []
    let at = 0
    for (; at < this.#waiting.length && batch.length < this.#size; at++) {
      const waiting = this.#waiting[at]!
      const { context } = waiting.request
      const over = context instanceof RequestContext ? context.over : undefined
      if (over === undefined) batch.push(waiting)
      // The signal's own reason: so it is known for what it is, and no failure.
      else waiting.reject(over === 'deadline' ? tooLate() : context.signal.reason)
    }
    this.#waiting = this.#waiting.slice(at)
    return batch
  }

  async #run(batch: readonly Waiting[]): Promise<void> {
    try {
      const outcomes: unknown = await this.#work(batch.map(({ request }) => request))
      if (!Array.isArray(outcomes) || outcomes.length !== batch.length) throw misfit(outcomes, batch.length)
      for (const [index, waiting] of batch.entries()) {
        const outcome: unknown = outcomes[index]
        if (outcome instanceof Error) waiting.reject(outcome)
        else waiting.resolve(outcome)
      }
    } catch (error) {
      for (const waiting of batch) waiting.reject(error)
    } finally {
      this.#running--
      this.#schedule()
    }
  }
}

function tooLate(): ReplyError {
  const message = 'the deadline had passed before its batch began; this try did nothing'
  return new ReplyError(remoteCodes.deadlineExceeded, message)
}

function misfit(outcomes: unknown, requests: number): TypeError {
  const what = Array.isArray(outcomes) ? `${outcomes.length} outcomes` : classOf(outcomes)
  return new TypeError(
    `a batch handler must return one outcome for each request, in their order: there were ${requests} requests, and it returned ${what}`,
  )
}

function read(work: unknown, options: BatchOptions): Required<Record<keyof BatchOptions, number>> {
  const problems = unknownOptions('batchHandler', options, known)
  if (typeof work !== 'function') problems.push(`its work must be a function, not ${classOf(work)}`)
  const { size = 500, running = 1 } = options
  for (const [name, value] of Object.entries({ size, running })) {
    if (!Number.isSafeInteger(value) || value < 1)
      problems.push(`${name} must be a whole number of at least 1, not ${said(value)}`)
  }
  if (problems.length > 0) throw new OptionsError('batchHandler', problems)
  return { size, running }
}
