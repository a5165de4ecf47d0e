import { longestDelay } from '../clock.ts'
import { systemRandom, type RandomBytes } from '../random.ts'
import { wordsOf } from '../words.ts'

/** What is wrong with a number of milliseconds, if anything. */
export function problemOfDuration(name: string, value: unknown): string | undefined {
  if (typeof value === 'number' && value >= 0 && value <= longestDelay) return undefined
  return `${name} must be a number of milliseconds from 0 to ${longestDelay}, not ${wordsOf(value)}`
}

export function problemOfFunction(name: string, value: unknown): string | undefined {
  return value === undefined || typeof value === 'function' ? undefined : `${name} must be a function`
}

/** Numbers, 0 ≤ x < 1, out of random bytes. */
export function numbersOf(random: RandomBytes = systemRandom): () => number {
  return () => random(6).readUIntBE(0, 6) / 2 ** 48
}
