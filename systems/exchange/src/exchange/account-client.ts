/** Asks an account service for a movement, over HTTP; what goes wrong says what it has done, as far as that is known. */
import { HttpTimeout, JsonClient, messageOf, type HttpAnswer } from '@milena/hosting'
import { StepError, type StepContext } from '@milena/request-reply'
import { BrokenCircuitError, circuitBreaker, ConsecutiveBreaker, handleAll } from 'cockatiel'
import type { Currency, MovementKind } from '../operations.ts'

export interface Asked {
  readonly customerId: string
  readonly currency: Currency
  readonly amount: number
}

/** Milliseconds that an answer is waited for. */
export const answerTimeout = 1_500
const connections = 64
/** After so many calls in a row without an answer the service is not asked for a second: its callers hear of it at once. */
const silences = 20
const restFor = 1_000

export class AccountClient {
  readonly #http: JsonClient
  readonly #breaker = circuitBreaker(handleAll, {
    halfOpenAfter: restFor,
    breaker: new ConsecutiveBreaker(silences),
  })
  readonly #repeats: number

  /** @param repeats the share of movements that are asked for once more later: duplicates, as a network makes them */
  constructor(url: string, repeats: number) {
    this.#http = new JsonClient(url, connections)
    this.#repeats = repeats
  }

  /**
   * Resolves when it is done.
   *
   * @throws StepError whose `effect` is `none` when nothing was moved, and never will be by this call
   */
  async move(kind: MovementKind, { sagaId }: StepContext<unknown, unknown>, asked: Asked): Promise<void> {
    const call = {
      method: 'POST',
      path: `/${kind}s`,
      body: { exchangeId: sagaId, ...asked },
      timeout: answerTimeout,
    } as const
    let answer: HttpAnswer
    try {
      answer = await this.#breaker.execute(() => this.#http.call(call))
    } catch (error) {
      throw unanswered(error)
    } finally {
      if (Math.random() < this.#repeats)
        setTimeout(() => void this.#http.call(call).catch(() => {}), Math.random() * 3_000).unref()
    }
    if (answer.status !== 200) throw refused(answer)
  }

  close(): void {
    this.#http.close()
  }
}

function unanswered(error: unknown): StepError {
  const certain = error instanceof BrokenCircuitError || isRefused(error)
  const code = certain ? 'ACCOUNT_SERVICE_DOWN' : error instanceof HttpTimeout ? 'NO_ANSWER' : 'ANSWER_LOST'
  return new StepError(messageOf(error), {
    code,
    effect: certain ? 'none' : 'unknown',
    retryable: true,
    cause: error,
  })
}

/** Nobody listens there, so nobody has heard it. */
function isRefused(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED'
}

function refused({ status, body }: HttpAnswer): StepError {
  const { code, title } = (body ?? {}) as { code?: unknown; title?: unknown }
  // A server that fails does not know itself how far it came; 503 says that it has done nothing.
  const effect = status >= 500 && status !== 503 ? 'unknown' : 'none'
  return new StepError(`${status} ${String(title)}`, {
    code: typeof code === 'string' ? code : `HTTP_${status}`,
    effect,
    retryable: status >= 500,
  })
}
