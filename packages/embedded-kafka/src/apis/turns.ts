/**
 * What takes long, of all connections together: after its first step one step each time that the event loop has gone
 * round. So whoever asks for little waits for one step, however much others have asked for.
 */

/** So much is unpacked in one step. */
const unpackedPerTurn = 8 * 1024 * 1024

interface Begun {
  /** Whether it is at its end. */
  readonly step: () => boolean
  readonly fail: (error: unknown) => void
  readonly signal: AbortSignal | undefined
}

/** Whose turn is next: `inRounds` a step of each, `oneByOne` the next only when the one before is done. */
export type TurnOrder = 'inRounds' | 'oneByOne'

export class LongWork {
  readonly #order: TurnOrder
  readonly #waiting: Begun[] = []
  #scheduled = false

  constructor(order: TurnOrder) {
    this.#order = order
  }

  /**
   * Runs `work` to its end. A promise only if it yields, or if others are at work and it goes one by one; it rejects with
   * the signal's reason if that is aborted meanwhile.
   */
  run<Result>(work: Generator<void, Result>, signal?: AbortSignal): Result | Promise<Result> {
    if (this.#order === 'inRounds' || this.#waiting.length === 0) {
      const first = work.next()
      if (first.done === true) return first.value
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        step() {
          const step = work.next()
          if (step.done === true) resolve(step.value)
          return step.done === true
        },
        fail: reject,
        signal,
      })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.length === 0) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#step()
      this.#schedule()
    })
  }

  #step(): void {
    let next = this.#waiting.shift()
    while (next?.signal?.aborted === true) {
      next.fail(next.signal.reason)
      next = this.#waiting.shift()
    }
    if (next === undefined || isDone(next)) return
    if (this.#order === 'inRounds') this.#waiting.push(next)
    else this.#waiting.unshift(next)
  }
}

function isDone({ step, fail }: Begun): boolean {
  try {
    return step()
  } catch (error) {
    fail(error)
    return true
  }
}

/** Says when a turn is over. */
export class Turn {
  #unpacked = 0

  /** Whether so much was unpacked, with these bytes, that others are due. */
  isOver(unpackedBytes: number): boolean {
    this.#unpacked += unpackedBytes
    if (this.#unpacked < unpackedPerTurn) return false
    this.#unpacked = 0
    return true
  }
}
