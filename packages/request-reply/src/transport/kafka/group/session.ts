/**
 * Whether this member still has its place in the group, as far as its own clock can say.
 *
 * The coordinator counts a session from each question of the member that it takes in, which is never before the member
 * asked it. So until the session timeout after the last question that was answered, nobody else has been given what this
 * member holds; from then on somebody may have been, whether a coordinator can be reached or not.
 *
 *              answered                     the clock went on for long
 *   none ────────────────▶ lasting ───────────────────────────────────────▶ in doubt
 *    ▲                      │   ▲                                           │   │
 *    │                      │   └──── answered, and asked since then ───────┘   │
 *    └──────────────────────┴──── the session timeout after the last question ──┘
 *
 * In doubt nothing is handed over until the coordinator has been asked (`stalls.ts`); without a session nothing is held.
 */
import { Stalls } from './stalls.ts'

export class Session {
  readonly timeout: number
  readonly #stalls: Stalls
  /** When the last question that was answered was asked. */
  #askedAt = -Infinity
  /** Whether records were held back. */
  #withheld = false

  /** @param timeout milliseconds, as the group was told */
  constructor(timeout: number) {
    this.timeout = timeout
    this.#stalls = new Stalls(timeout / 2)
  }

  /** Milliseconds for which the process was held up, while in doubt; else 0. */
  get heldUp(): number {
    return this.#stalls.heldUp
  }

  /** Whether the group has certainly given nothing of this member's to anybody. */
  lasts(now: number): boolean {
    return now - this.#askedAt < this.timeout
  }

  /** Whether records may be handed over. */
  trusted(now: number): boolean {
    const trusted = this.lasts(now) && !this.#stalls.doubtful
    this.#withheld ||= !trusted
    return trusted
  }

  /** A look at the clock; true when it shows that the process was held up until now: the coordinator is to be asked. */
  look(now: number): boolean {
    return this.#stalls.look(now)
  }

  /** The coordinator knows this member, or did when it was asked at `asked`. True when records were held back until then. */
  answered(asked: number): boolean {
    this.#askedAt = Math.max(this.#askedAt, asked)
    this.#stalls.answered(asked)
    if (!this.#withheld || this.#stalls.doubtful) return false
    this.#withheld = false
    return true
  }

  /** The place is lost, and that is known. */
  end(): void {
    this.#askedAt = -Infinity
    this.#stalls.over()
  }
}
