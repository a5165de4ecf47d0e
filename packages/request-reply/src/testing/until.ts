import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds that a contract waits for what must come: long, because it only costs time when something is wrong. */
const patience = 60_000

/** Resolves when the condition holds; `what` completes "within a minute: …". What the condition throws ends it. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + patience
  while (!(await condition())) {
    if (performance.now() >= end) throw new Error(`within a minute: ${what}`)
    await sleep(10)
  }
}
