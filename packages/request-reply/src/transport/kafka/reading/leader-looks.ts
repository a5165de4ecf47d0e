/** When metadata is asked for, while it is in doubt who leads a partition that is read. */
import { TransportError } from '../../../errors.ts'
import type { Metadata } from '../cluster/metadata.ts'

/** Milliseconds between requests for metadata while something is in doubt. */
const FIRST = 50
const LONGEST = 500

export class LeaderLooks {
  readonly #metadata: Metadata
  readonly #signal: AbortSignal
  readonly #refused: (error: TransportError) => void
  #looking = false
  #at = 0
  #pause = FIRST

  /** @param refused the login was: that is not mended by asking again */
  constructor(metadata: Metadata, signal: AbortSignal, refused: (error: TransportError) => void) {
    this.#metadata = metadata
    this.#signal = signal
    this.#refused = refused
  }

  /** Asks at once, unless a question is under way; whoever listens to metadata takes the answer. */
  look(): void {
    if (this.#looking || this.#signal.aborted) return
    this.#looking = true
    this.#at = performance.now()
    this.#pause = Math.min(this.#pause * 1.5, LONGEST)
    this.#metadata.refresh().then(
      () => (this.#looking = false),
      (error: unknown) => {
        this.#looking = false
        if (error instanceof TransportError && error.code === 'MILENA_AUTHENTICATION_FAILED')
          this.#refused(error)
      },
    )
  }

  /** Asks if the last question is long enough ago: `every` milliseconds, or while in doubt more and more of them. */
  lookAgain(now: number, every?: number): void {
    if (now - this.#at >= (every ?? this.#pause)) this.look()
  }

  /** Nothing is in doubt. */
  settled(): void {
    this.#pause = FIRST
  }
}
