/**
 * Says of a value that does not survive its codec what was lost, and what to do about it.
 */
import type { ValidationIssue } from '../errors.ts'

/** The receiver's issues, in words for the sender of `value`. */
export function explainLoss(
  codec: string,
  value: unknown,
  issues: readonly ValidationIssue[],
): ValidationIssue[] {
  return issues.map(({ path, message }) => {
    const lost = describeLoss(at(value, path))
    const told = lost === undefined ? '' : `; it is ${lost}`
    return {
      path,
      message: `matches the schema, but no longer once it went through the codec ${codec}${told} (${message})`,
    }
  })
}

/** What stands at an issue's path; a key with a dot in it is not found, and gets no advice. */
function at(value: unknown, path: string): unknown {
  let found: unknown = value
  for (const key of path.match(/[^.[\]]+/g) ?? []) {
    if (typeof found !== 'object' || found === null) return undefined
    found = (found as Record<string, unknown>)[key]
  }
  return found
}

function describeLoss(value: unknown): string | undefined {
  if (value instanceof Date)
    return 'a Date, and arrives as text: use z.iso.datetime() and send text, or z.coerce.date(), or what your schemas have for that'
  if (value instanceof Map || value instanceof Set)
    return 'a Map or Set, and arrives as an empty object: send an array or a plain object'
  if (value instanceof Uint8Array) return 'bytes, and arrives as an object: send text, such as base64'
  if (typeof value === 'bigint')
    return 'a bigint, and arrives as a number where it fits into one: let the schema take both, such as z.coerce.bigint()'
  if (typeof value === 'number' && !Number.isFinite(value))
    return `${value}, which JSON has not, and arrives as null`
  if (typeof value === 'function' || typeof value === 'symbol')
    return `a ${typeof value}, and does not arrive`
  return undefined
}
