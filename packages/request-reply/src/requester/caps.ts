/**
 * How much a requester may hold: of requests that are being prepared, that wait for their reply (with what has been
 * gathered of several), and that have their outcome while the transport has not let go of them.
 */
import type { AnyOperation } from '../contract/operation.ts'
import { MilenaError } from '../errors.ts'
import { tooLarge, withoutStack } from './outcome-errors.ts'
import type { Preparing } from './preparing.ts'

export interface CapsOptions {
  readonly maxPending: number
  readonly maxPendingBytes: number
  /** Less is held than a moment ago. */
  onRoom(): void
}

export class Caps {
  readonly #options: CapsOptions
  readonly #preparing: Preparing
  #held = 0
  #bytes = 0

  constructor(options: CapsOptions, preparing: Preparing) {
    this.#options = options
    this.#preparing = preparing
  }

  /** @throws MilenaError `MILENA_OVERLOADED`; `MILENA_RECORD_TOO_LARGE` for what is never accepted. */
  check(operation: AnyOperation, bytes: number): void {
    const { maxPending, maxPendingBytes } = this.#options
    if (bytes > maxPendingBytes) throw tooLarge(operation, bytes, maxPendingBytes)
    const count = this.#held + this.#preparing.size
    const held = this.#bytes + this.#preparing.bytes
    if (count < maxPending && held + bytes <= maxPendingBytes) return
    throw withoutStack(
      () =>
        new MilenaError(
          'MILENA_OVERLOADED',
          `operation ${operation.name}: ${count} requests with ${held} bytes are pending or being sent; ` +
            `at most ${maxPending} (maxPending) with ${maxPendingBytes} bytes (maxPendingBytes) may be`,
        ),
    )
  }

  /** Whether there is room for more bytes of what is held already. */
  fits(bytes: number): boolean {
    return this.#bytes + this.#preparing.bytes + bytes <= this.#options.maxPendingBytes
  }

  /** What is held takes so many bytes more, or less. */
  resize(by: number): void {
    this.#bytes += by
    if (by < 0) this.#options.onRoom()
  }

  /** Whether `check` would let a request pass that has no bytes. */
  hasRoom(): boolean {
    const { maxPending, maxPendingBytes } = this.#options
    return (
      this.#held + this.#preparing.size < maxPending && this.#bytes + this.#preparing.bytes < maxPendingBytes
    )
  }

  take(bytes: number): void {
    this.#held++
    this.#bytes += bytes
  }

  letGo(bytes: number): void {
    this.#held--
    this.#bytes -= bytes
    this.#options.onRoom()
  }
}
