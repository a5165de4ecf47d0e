/** What an application has given, before any of it is used: what is wrong is told in words of ours, and with a code. */
import { OptionsError } from '@milena/request-reply'

/**
 * Names that are no options: most are misspelt.
 *
 * @throws OptionsError of what is no object with options
 */
export function unknownOptions(of: string, options: unknown, known: readonly string[]): string[] {
  if (!isOptions(options))
    throw new OptionsError(of, [`its options must be an object, not ${kindOf(options)}`])
  return unknownNames(options, known)
}

/** A problem for each of them. */
export function unknownNames(options: object, known: readonly string[]): string[] {
  return Object.keys(options)
    .filter((name) => !known.includes(name))
    .map((name) => `there is no option ${name}`)
}

export function isOptions(options: unknown): options is object {
  return typeof options === 'object' && options !== null && !Array.isArray(options)
}

/** What is wrong with these options, which are switches. */
export function switchProblems(switches: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(switches)
    .filter(([, value]) => value !== undefined && typeof value !== 'boolean')
    .map(([name, value]) => `${name} must be true or false, not ${kindOf(value)}`)
}

/** What is wrong with a clock, if one is given. */
export function clockProblems(clock: unknown): string[] {
  if (clock === undefined) return []
  const methods: Readonly<Record<string, unknown>> = Object(clock)
  const needed = ['now', 'monotonic', 'schedule']
  return needed.every((name) => typeof methods[name] === 'function')
    ? []
    : [`clock must have the methods ${needed.join(', ')}; it is ${kindOf(clock)}`]
}

/** For messages: a number as it is, and of anything else what it is. */
export function kindOf(value: unknown): string {
  if (typeof value === 'number' || value === null || value === undefined) return String(value)
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'an object'
  return `a ${typeof value}`
}
