/**
 * What is validated is what is sent: the value without what its schema strips, such as the password hash of a row whose
 * schema does not know of one.
 *
 * A schema says only what it makes of a value, so the value is compared with that. A key that the schema's output has
 * not is left out of a copy, wherever both are objects (or lists of the same length) on the way there; the copy is sent
 * if the schema makes the same of it. A schema may also *read* a key that its output has not: one that renames, or
 * computes. Then each such key is tried alone, and those without which the output would be another one are sent.
 *
 * So what a schema strips is sent only where it cannot be told from what the schema reads: inside of a value whose shape
 * it changes (an object made into something else, a list made shorter, an object whose class it needs), beyond the bounds
 * below, and where it strips so at random that no two outputs agree. Nothing is copied when nothing is stripped.
 */
import { isDeepStrictEqual } from 'node:util'
import { MilenaError } from '../errors.ts'
import type { Side } from './codec.ts'
import { codecFailed, validatePayload } from './coding.ts'
import type { AnyOperation } from './operation.ts'
import type { Validated } from './payload.ts'
import { deepest, snapshot, stepInto, strippedPaths, tooDeep, withoutStripped } from './stripping.ts'

/** The most keys that are tried alone; further ones are sent. */
const mostTried = 64
/** The most places that are remembered of one payload. */
const mostLearned = 256

/**
 * Validates a value before it is sent, and gives what is to be encoded; a promise only where the schema is asynchronous.
 * Then what is sent is the value as it was at the call, whatever its owner changes while the schema works.
 *
 * @throws MilenaError `MILENA_CODEC_FAILED` when the schema itself fails; a promise rejects with it
 */
export function sendable(
  operation: AnyOperation,
  side: Side,
  value: unknown,
): Validated<unknown> | Promise<Validated<unknown>> {
  const checked = validatePayload(operation, side, value)
  if (checked instanceof Promise) return sendableLater(operation, side, value, checked)
  if ('issues' in checked || checked.value === value) return checked
  try {
    const pruned = withoutStripped(value, checked.value, flattens(operation, side))
    if (pruned === value) return { value }
    const search = searchFor(operation, side, value, checked.value, pruned)
    let step = search.next()
    while (!step.done) step = search.next(validatePayload(operation, side, step.value) as Validated<unknown>)
    return { value: step.value }
  } catch (error) {
    return whole(operation, side, value, error)
  }
}

async function sendableLater(
  operation: AnyOperation,
  side: Side,
  given: unknown,
  checking: Promise<Validated<unknown>>,
): Promise<Validated<unknown>> {
  operation.learned[side].asynchronous = true
  // Before anything is waited for.
  let value: unknown
  let unreadable: MilenaError | undefined
  try {
    value = snapshot(given)
  } catch (error) {
    if (error instanceof RangeError) value = given
    else unreadable = codecFailed(operation, side, 'read', error)
  }
  const checked = await checking
  if ('issues' in checked) return checked
  if (unreadable !== undefined) throw unreadable
  try {
    const pruned = withoutStripped(value, checked.value, flattens(operation, side))
    if (pruned === value) return { value }
    const search = searchFor(operation, side, value, checked.value, pruned)
    let step = search.next()
    // oxlint-disable-next-line no-await-in-loop -- each step needs the one before it
    while (!step.done) step = search.next(await validatePayload(operation, side, step.value))
    return { value: step.value }
  } catch (error) {
    return whole(operation, side, value, error)
  }
}

/** A value that is nested too deep to be looked into goes as it is; its codec decides. */
function whole(operation: AnyOperation, side: Side, value: unknown, error: unknown): Validated<unknown> {
  if (error instanceof RangeError) return { value }
  throw error instanceof MilenaError ? error : codecFailed(operation, side, 'read', error)
}

/** JSON writes an object of a class as a plain one; what another codec makes of it is not known. */
function flattens(operation: AnyOperation, side: Side): boolean {
  const { codec } = operation[side]
  return codec === 'json' || codec === 'lossless-json'
}

/** Yields what is to be validated next, and returns what is to be sent. */
function* searchFor(
  operation: AnyOperation,
  side: Side,
  value: unknown,
  output: unknown,
  pruned: unknown,
): Generator<unknown, unknown, Validated<unknown>> {
  const { readKeys, unstable } = operation.learned[side]
  const flatten = flattens(operation, side)
  const agrees = (checked: Validated<unknown>): boolean =>
    'value' in checked &&
    (isDeepStrictEqual(checked.value, output) || differences(checked.value, output, unstable).length === 0)

  if (agrees(yield pruned)) return pruned
  if (readKeys.size > 0) {
    const known = withoutStripped(value, output, flatten, readKeys)
    if (known !== value && agrees(yield known)) return known
  }
  const again = yield value
  if ('value' in again) learn(unstable, differences(again.value, output, unstable))
  let best = value
  const keep = strippedPaths(value, output, flatten)
  for (const path of [...keep].slice(0, mostTried)) {
    keep.delete(path)
    const without = withoutStripped(value, output, flatten, keep)
    if (agrees(yield without)) best = without
    else keep.add(path)
  }
  learn(readKeys, keep)
  return best
}

function learn(known: Set<string>, paths: Iterable<string>): void {
  for (const path of paths) {
    if (known.size >= mostLearned) known.clear()
    known.add(path)
  }
}

/** Where two outputs of one schema differ, apart from the places in `unstable`. */
function differences(a: unknown, b: unknown, unstable: ReadonlySet<string>, path = '', depth = 0): string[] {
  if (unstable.has(path)) return []
  if (depth > deepest) throw tooDeep()
  const lists = Array.isArray(a) && Array.isArray(b) && a.length === b.length
  if (!lists && !(isRecord(a) && isRecord(b))) return isDeepStrictEqual(a, b) ? [] : [path]
  const [left, right] = [a, b] as [Record<string, unknown>, Record<string, unknown>]
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].flatMap((key) =>
    differences(left[key], right[key], unstable, stepInto(path, lists ? undefined : key), depth + 1),
  )
}

function isRecord(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object Object]'
}
