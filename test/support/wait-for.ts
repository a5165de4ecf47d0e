import { setTimeout as sleep } from 'node:timers/promises'

export interface WaitOptions {
  /** What is waited for, as it completes the sentence "waited for …". */
  what: string
  /** Milliseconds. Default 60 000: long, because it only costs time when something is wrong. */
  timeout?: number
  /** Milliseconds between two looks. Default 20. */
  interval?: number
}

/**
 * Resolves with what the condition answers as soon as that is truthy. An error that it throws counts as not yet.
 * Rejects when the time is over, with what was waited for, the last answer and the last error as its cause.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions,
): Promise<Exclude<T, undefined | null | false | 0 | ''>> {
  const { what, timeout = 60_000, interval = 20 } = options
  const deadline = performance.now() + timeout
  for (;;) {
    let answer: T | undefined
    let error: unknown
    try {
      answer = await condition()
      if (isTruthy(answer)) return answer
    } catch (thrown) {
      error = thrown
    }
    if (performance.now() > deadline) {
      const seen = error === undefined ? `the last answer was ${String(answer)}` : `the last try failed`
      throw new Error(`waited ${timeout} ms for ${what}: ${seen}`, { cause: error })
    }
    await sleep(interval)
  }
}

function isTruthy<T>(value: T): value is Exclude<T, undefined | null | false | 0 | ''> {
  return Boolean(value)
}
