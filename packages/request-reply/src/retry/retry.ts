import { OptionsError } from '../errors.ts'
import { problemsOfParts, unknownOptions } from '../given.ts'
import type { RandomBytes } from '../random.ts'
import type { Outcome } from '../replier/outcome.ts'
import type { RawRequest } from '../replier/raw-request.ts'
import { depths, type RecordMiddleware } from '../replier/record-middleware.ts'
import type { IncomingRecord } from '../transport/transport.ts'
import { fixed, type Backoff } from './backoff.ts'
import { isRetryable, type Retryable } from './classify.ts'
import { numbersOf, problemOfDuration, problemOfFunction } from './options.ts'

export interface RetryOptions {
  /** The most tries, the first one included; default 4: it is tried again three times. */
  readonly attempts?: number
  /** How long to wait before each of them; default `fixed(1_000)`. */
  readonly backoff?: Backoff
  /** Milliseconds from the beginning of the first try after which none begins; default: no bound but `attempts`. */
  readonly maxTime?: number
  /** Which failures are tried again; default `isRetryable`. */
  readonly retryable?: Retryable
  /** For simulations; default: the system's. */
  readonly random?: RandomBytes
}

const known: ReadonlySet<string> = new Set<keyof RetryOptions>([
  'attempts',
  'backoff',
  'maxTime',
  'retryable',
  'random',
])

/**
 * Tries a request again in place: it keeps its place in the log and in its key's lane, so order by key holds.
 *
 * Meanwhile only later requests of its key wait. It has no slot while it waits, other keys of its partition go on (until
 * `maxAhead` or `maxInHand` stop the reading), and so do heartbeats; a partition that moves does not wait for it.
 * A try that cannot begin before the requester's deadline is not made. When no more are made, the failure goes out as it
 * is: to the requester, or to the middleware outside of this one.
 *
 * Not guaranteed: that a try's effects are undone before the next. A crash, and a partition that moves, begin to count anew.
 *
 * @throws OptionsError `MILENA_OPTIONS_INVALID`, listing every problem.
 */
export function retry(options: RetryOptions = {}): RecordMiddleware {
  const unknown = unknownOptions('retry', options, known)
  const { attempts = 4, backoff = fixed(1_000), maxTime, retryable = isRetryable } = options
  const problems = [
    ...unknown,
    ...problemsOfParts(options),
    ...(Number.isSafeInteger(attempts) && attempts >= 1 ? [] : ['attempts must be a whole number from 1 on']),
    ...(maxTime === undefined ? [] : [problemOfDuration('maxTime', maxTime) ?? []].flat()),
    ...[problemOfFunction('backoff', backoff) ?? [], problemOfFunction('retryable', retryable) ?? []].flat(),
  ]
  if (problems.length > 0) throw new OptionsError('retry', problems)
  const random = numbersOf(options.random)
  const since = new Since()

  async function retry(request: RawRequest, next: () => Promise<Outcome>): Promise<Outcome> {
    const { clock } = request.replier
    const began = maxTime === undefined ? 0 : since.first(request)
    const outcome = await next()
    if (outcome.kind !== 'error') return outcome
    const tries = request.attempt - request.place
    if (!retryable(request.error, outcome)) return outcome
    const givenUp = { ...outcome, givenUp: true }
    if (tries >= attempts) return givenUp
    const pause = Math.max(0, backoff(tries, random))
    if (maxTime !== undefined && clock.monotonic() - began + pause > maxTime) return givenUp
    const notBefore = clock.now() + pause
    const { deadline } = request
    return deadline !== undefined && notBefore > deadline ? givenUp : { kind: 'later', notBefore }
  }
  return Object.assign(retry, { depth: depths.retry })
}

/** When the first try of each record began; forgotten with the record. */
class Since {
  readonly #began = new WeakMap<IncomingRecord, number>()

  first({ record, replier }: RawRequest): number {
    let began = this.#began.get(record)
    if (began === undefined) this.#began.set(record, (began = replier.clock.monotonic()))
    return began
  }
}
