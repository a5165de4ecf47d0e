/**
 * Whether any broker answers at all.
 *
 *   answered ──a round of all brokers fails──▶ doubtful ──`AWAY_AFTER`, and another one──▶ away ──any answer──▶ answered
 */
import { TransportError } from '../../../errors.ts'
import { deepestMessage } from './kafka-errors.ts'

/** Milliseconds. */
const AWAY_AFTER = 2_000

export class BrokersAway {
  readonly #onChange: () => void
  /** When the first of the rounds that failed began (`performance.now()`), and how many did. */
  #since: number | undefined
  #rounds = 0
  #problem: TransportError | undefined

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  /** As long as none of them answers. */
  get problem(): TransportError | undefined {
    return this.#problem
  }

  /** For how many milliseconds no broker has answered anything; 0 while some do. */
  get silence(): number {
    return this.#since === undefined ? 0 : performance.now() - this.#since
  }

  /** A round that began at `began` is over, and no broker has answered. */
  noneAnswered(began: number, brokers: readonly string[], cause: unknown): void {
    this.#since ??= began
    this.#rounds++
    // More than one: this process may have been held up while the first one was under way.
    if (this.#problem !== undefined || this.#rounds < 2 || performance.now() - this.#since < AWAY_AFTER)
      return
    this.#problem = new TransportError(
      'MILENA_BROKER_UNREACHABLE',
      `no broker has answered for ${AWAY_AFTER / 1_000} s at ${brokers.join(', ')} (${deepestMessage(cause)}); ` +
        `reading goes on as soon as one answers, and what is to be sent waits until its delivery timeout`,
      { cause },
    )
    this.#onChange()
  }

  /** Some broker has answered something. */
  answered(): void {
    if (this.#since === undefined) return
    this.#since = undefined
    this.#rounds = 0
    if (this.#problem === undefined) return
    this.#problem = undefined
    this.#onChange()
  }
}
