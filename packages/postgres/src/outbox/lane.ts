/**
 * One turn of a claimed lane: its rows, each sent when the one before it was acknowledged. So a row that cannot be sent
 * is never overtaken by one of its own key.
 */
import type { Clock, OutgoingRecord, Transport } from '@milena/request-reply'
import type { Row } from './rows.ts'
import type { Session } from './session.ts'

export interface LaneOptions {
  readonly session: Session
  readonly transport: Transport
  readonly clock: Clock
  readonly sendTimeout: number
  readonly onSent: (row: Row) => void
  /** The turn ends with it. */
  readonly onFailed: (row: Row, error: unknown) => void
  readonly onEnded: (lane: Lane) => void
}

export class Lane {
  readonly session: Session
  readonly number: string
  /** Whether its first row had failed before. */
  readonly failing: boolean
  /** Of the rows that it holds. */
  bytes = 0
  readonly #options: LaneOptions
  readonly #rows: Row[]
  #sending: OutgoingRecord | undefined
  #since: number
  #stopped = false

  constructor(rows: readonly Row[], options: LaneOptions) {
    this.#options = options
    this.#rows = [...rows]
    this.session = options.session
    this.number = rows[0]!.lane
    this.failing = rows[0]!.failures > 0
    for (const row of rows) this.bytes += row.bytes
    this.#since = options.clock.monotonic()
  }

  get rows(): number {
    return this.#rows.length
  }

  /** Milliseconds that the record on its way has been there. */
  get sendingFor(): number {
    return this.#options.clock.monotonic() - this.#since
  }

  async run(): Promise<void> {
    const { onSent, onFailed, onEnded, clock } = this.#options
    for (let row = this.#rows[0]; row !== undefined && this.#mayGoOn; row = this.#rows[0]) {
      this.#since = clock.monotonic()
      try {
        await this.#send({ ...row.record })
        onSent(row)
      } catch (error) {
        // What was taken back because the turn is over has not failed.
        if (!this.#stopped) onFailed(row, error)
        break
      }
      this.#rows.shift()
      this.bytes -= row.bytes
    }
    this.#rows.length = 0
    this.bytes = 0
    onEnded(this)
  }

  /** Ends the turn with the record on its way; one that is not on the wire is taken back if `withdraw`. */
  stop(withdraw: boolean): void {
    this.#stopped = true
    this.shed()
    if (withdraw && this.#sending !== undefined) this.#options.transport.withdraw(this.#sending)
  }

  /** Lets go of what is not on its way; it is read again in the lane's next turn. */
  shed(): void {
    for (const row of this.#rows.splice(1)) this.bytes -= row.bytes
  }

  get #mayGoOn(): boolean {
    return !this.#stopped && this.session.holds
  }

  async #send(record: OutgoingRecord): Promise<void> {
    const { transport, clock, sendTimeout } = this.#options
    this.#sending = record
    const timer = clock.schedule(sendTimeout, () => transport.withdraw(record))
    try {
      await transport.send(record)
    } finally {
      timer.cancel()
      this.#sending = undefined
    }
  }
}
