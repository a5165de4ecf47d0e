import { setTimeout } from 'node:timers/promises'

/** Long, because it only costs time when something is wrong. */
const limitMs = 60_000

/** Waits until `condition` holds; fails, naming it, if it does not within a minute. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + limitMs
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${limitMs} ms in vain until ${what}`)
    await setTimeout(2)
  }
}
