/** Asks an account service for a movement, over HTTP; what goes wrong says what it has done, as far as that is known. */
import { HttpTimeout, JsonClient, messageOf, type HttpAnswer, type HttpCall } from '@milena/hosting'
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
/** Milliseconds after which a call comes a second time, at most. */
const latestRepeat = 3_000

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
      const isSent = !isUnsent(error)
      if (isSent) this.#repeatLater(call)
      throw unanswered(error, isSent)
    }
    this.#repeatLater(call)
    if (answer.status !== 200) throw refused(answer)
  }

  close(): void {
    this.#http.close()
  }

  #repeatLater(call: HttpCall): void {
    if (Math.random() >= this.#repeats) return
    setTimeout(() => void this.#http.call(call).catch(() => {}), Math.random() * latestRepeat).unref()
  }
}

function unanswered(error: unknown, isSent: boolean): StepError {
  const unknown = error instanceof HttpTimeout ? 'NO_ANSWER' : 'ANSWER_LOST'
  return new StepError(messageOf(error), {
    code: isSent ? unknown : 'ACCOUNT_SERVICE_DOWN',
    effect: isSent ? 'unknown' : 'none',
    retryable: true,
    cause: error,
  })
}

/** Nobody listens there, or it was not even tried: nobody can ever have heard it. */
function isUnsent(error: unknown): boolean {
  return (
    error instanceof BrokenCircuitError ||
    (error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED')
  )
}

/**
 * A refusal stands in the ledger: whatever comes later is refused too. That the server could not do it just now, or has
 * failed, says nothing of another copy of the call that may be under way.
 */
function refused({ status, body }: HttpAnswer): StepError {
  const { code, title } = (body ?? {}) as { code?: unknown; title?: unknown }
  const isFinal = status < 500
  return new StepError(`${status} ${String(title)}`, {
    code: typeof code === 'string' ? code : `HTTP_${status}`,
    effect: isFinal ? 'none' : 'unknown',
    retryable: !isFinal,
  })
}
