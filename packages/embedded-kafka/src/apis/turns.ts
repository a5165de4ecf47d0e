import { setImmediate } from 'node:timers/promises'

/** So much is unpacked before other connections have their turn. */
const unpackedPerTurn = 8 * 1024 * 1024

/**
 * Runs `work` to its end; wherever it yields, other connections go on meanwhile. A request that asks for much does not
 * hold them up for longer than its largest step. A promise only if it yields.
 */
export function inTurns<Result>(work: Generator<void, Result>): Result | Promise<Result> {
  const step = work.next()
  return step.done === true ? step.value : goOn(work)
}

async function goOn<Result>(work: Generator<void, Result>): Promise<Result> {
  for (;;) {
    await setImmediate()
    const step = work.next()
    if (step.done === true) return step.value
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
