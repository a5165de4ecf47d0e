/** What an application has given, before any of it is used: what is wrong is told in words of ours, and with a code. */
import { OptionsError } from '@milena/request-reply'

/**
 * Names that are no options: most are misspelt.
 *
 * @throws OptionsError of what is no object with options
 */
export function unknownOptions(of: string, options: unknown, known: readonly string[]): string[] {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new OptionsError(of, [`its options must be an object, not ${kindOf(options)}`])
  return Object.keys(options)
    .filter((name) => !known.includes(name))
    .map((name) => `there is no option ${name}`)
}

/** For messages: a number as it is, and of anything else what it is. */
export function kindOf(value: unknown): string {
  if (typeof value === 'number' || value === null || value === undefined) return String(value)
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'an object'
  return `a ${typeof value}`
}
