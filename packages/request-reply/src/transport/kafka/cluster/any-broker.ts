/**
 * Asking something that any broker can answer.
 *
 *   ask ──▶ first candidate ── answer ─────────────────────────────▶ done
 *              │ failed, or silent for `PATIENCE`      ▲
 *              ▼                                       │ whoever is first
 *           next candidate, beside those that are silent ── answer
 *
 * So a broker that hangs (it accepts connections and says nothing) costs a moment, not a time limit, and one that is only
 * slow is not given up. Those that failed of late, or were silent, are asked last.
 */
import { TransportError } from '../../../errors.ts'
import type { BrokerAddress, BrokerConnection } from '../connection/connection.ts'
import { addressOf, type BrokerPool } from '../connection/connections.ts'
import { unreachable } from './kafka-errors.ts'

/** Milliseconds for which a broker that failed is asked last. */
const SUSPICION = 15_000
/** Milliseconds of silence after which the next one is asked, too. */
const PATIENCE = 250

export interface AskOptions {
  /** Default: the pool for metadata. */
  readonly pool?: BrokerPool
  /** To be asked first, whatever is known of it. */
  readonly first?: BrokerAddress | undefined
  /** Milliseconds; default 250. Longer where asking twice at the same time is not for nothing. */
  readonly patience?: number
  /** Only these are asked: that none of them answers says nothing of the others. Default: all. */
  readonly among?: ((broker: BrokerAddress) => boolean) | undefined
}

export type Ask<Result> = (connection: BrokerConnection) => Promise<Result>

export class AnyBroker {
  readonly #pool: BrokerPool
  readonly #known: () => readonly BrokerAddress[]
  readonly #signal: AbortSignal
  readonly #suspects = new Map<string, number>()
  #turn = 0

  /** @param known every address that there is to ask, each once */
  constructor(pool: BrokerPool, known: () => readonly BrokerAddress[], signal: AbortSignal) {
    this.#pool = pool
    this.#known = known
    this.#signal = signal
  }

  /** This broker just failed to answer, or broke a connection: others are asked first. */
  blame(broker: BrokerAddress): void {
    this.#suspects.set(addressOf(broker), performance.now())
  }

  /** This broker has answered. */
  absolve(broker: BrokerAddress): void {
    if (this.#suspects.size > 0) this.#suspects.delete(addressOf(broker))
  }

  /** Whether it failed of late, and has not answered since. */
  suspects(broker: BrokerAddress): boolean {
    return this.#failedAt(broker) > 0
  }

  /**
   * The first answer. `act` may run at several brokers at the same time; what the others answer later is passed over.
   * Every broker is tried once.
   *
   * @param what that was waited for, as in "no broker answered …"
   * @throws TransportError `MILENA_BROKER_UNREACHABLE` when none answered, `MILENA_AUTHENTICATION_FAILED` when none can,
   * `MILENA_CLOSED`, and what `act` throws of that kind
   */
  ask<Result>(what: string, act: Ask<Result>, options: AskOptions = {}): Promise<Result> {
    const { pool = this.#pool, patience = PATIENCE, among = () => true } = options
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    const left = this.#candidates(options.first).filter(among)
    const failures: unknown[] = []
    let asking = 0
    let settled = false
    let timer: NodeJS.Timeout | undefined
    const end = (): void => {
      settled = true
      clearTimeout(timer)
    }
    const askNext = (): void => {
      clearTimeout(timer)
      if (settled) return
      const broker = this.#signal.aborted ? undefined : left.shift()
      if (broker === undefined) {
        if (asking > 0) return
        end()
        reject(this.#failure(what, failures))
        return
      }
      asking++
      timer = setTimeout(() => {
        // It may answer yet, which absolves it.
        this.blame(broker)
        askNext()
      }, patience)
      pool
        .get(broker)
        .then(act)
        .then(
          (result) => {
            this.absolve(broker)
            end()
            resolve(result)
          },
          (error: unknown) => {
            asking--
            this.blame(broker)
            failures.push(error)
            askNext()
          },
        )
    }
    askNext()
    return promise
  }

  #failure(what: string, failures: readonly unknown[]): TransportError {
    if (this.#signal.aborted) return new TransportError('MILENA_CLOSED', 'the transport is closed')
    // Refused credentials are the same at every broker, but one that is down must not hide them, nor they a version gap.
    const certain = failures.find((error) => error instanceof TransportError)
    return certain ?? unreachable(this.#known().map(addressOf), what, failures.at(-1))
  }

  /** In turn, so that one that lags behind or hangs is not asked each time; those that failed of late come last. */
  #candidates(first: BrokerAddress | undefined): BrokerAddress[] {
    const known = this.#known()
    const turn = this.#turn++ % known.length
    const inTurn = [...known.slice(turn), ...known.slice(0, turn)].toSorted(
      (a, b) => this.#failedAt(a) - this.#failedAt(b),
    )
    if (first === undefined) return inTurn
    const address = addressOf(first)
    return [first, ...inTurn.filter((one) => addressOf(one) !== address)]
  }

  #failedAt(broker: BrokerAddress): number {
    const at = this.#suspects.get(addressOf(broker))
    return at === undefined || performance.now() - at > SUSPICION ? 0 : at
  }
}
