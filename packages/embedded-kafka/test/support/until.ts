import { setTimeout } from 'node:timers/promises'

const limitMs = 10_000

/** Waits until `condition` holds; fails, naming it, if it does not within ten seconds. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + limitMs
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${limitMs} ms in vain until ${what}`)
    await setTimeout(2)
  }
}
