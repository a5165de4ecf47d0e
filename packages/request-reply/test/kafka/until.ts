import { setTimeout as sleep } from 'node:timers/promises'

/** Waits until the condition holds; fails, naming it, when it never does. */
export async function until(what: string, holds: () => boolean, limit = 60_000): Promise<void> {
  const deadline = Date.now() + limit
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`never happened within ${limit} ms: ${what}`)
    await sleep(5)
  }
}
