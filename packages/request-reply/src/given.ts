/**
 * What an application has given, before any of it is used: is it what it has to be? What is wrong is told in words of ours
 * and with a code, instead of JavaScript's own, somewhere later.
 */
import { OptionsError } from './errors.ts'
import { classOf, said } from './words.ts'

/**
 * A problem for each option that nobody knows: a name that was mistyped would else be ignored.
 *
 * @param of whose options they are, as its error begins
 * @throws OptionsError `MILENA_OPTIONS_INVALID` of what is no object with options: nothing can be read of it
 */
export function unknownOptions(of: string, options: unknown, known: ReadonlySet<string>): string[] {
  refuseOtherThanOptions(of, options)
  return Object.keys(options)
    .filter((name) => !known.has(name))
    .map((name) => `there is no option ${name}`)
}

/** @throws OptionsError `MILENA_OPTIONS_INVALID` */
export function refuseOtherThanOptions(of: string, options: unknown): asserts options is object {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return
  throw new OptionsError(of, [`its options must be an object, not ${classOf(options)}`])
}

/**
 * Refuses an argument that is not what it has to be.
 *
 * @param wanted such as `it takes a Buffer`
 * @throws OptionsError `MILENA_OPTIONS_INVALID`
 */
export function refuseUnless(is: boolean, of: string, wanted: string, given: unknown): void {
  if (!is) throw new OptionsError(of, [`${wanted}, not ${classOf(given)}`])
}

/** Whether it is an object with a list of this name, such as a record with its headers. */
export function hasList(given: unknown, name: string): boolean {
  return Array.isArray((Object(given) as Readonly<Record<string, unknown>>)[name])
}

/** Whether it is an object with all of these methods. */
export function hasMethods(given: unknown, names: readonly string[]): boolean {
  const has = Object(given) as Readonly<Record<string, unknown>>
  return names.every((name) => typeof has[name] === 'function')
}

/** The options of a `close()`: how long it may wait, and nothing else. `Infinity` has no bound. @throws OptionsError */
export function closeTimeout(of: string, options: unknown, byDefault: number): number {
  if (options === undefined) return byDefault
  const problems = unknownOptions(of, options, onlyTimeout)
  const { timeout = byDefault } = options as { readonly timeout?: unknown }
  if (typeof timeout === 'number' && timeout >= 0 && problems.length === 0) return timeout
  if (problems.length === 0)
    problems.push(`timeout must be a number of milliseconds, 0 or more, or Infinity, not ${said(timeout)}`)
  throw new OptionsError(of, problems)
}

/** What is wrong with a `drainTimeout`: a number of milliseconds, as `closeTimeout`, but bounded. */
export function problemsOfDrain({ drainTimeout }: { readonly drainTimeout?: unknown }): string[] {
  if (drainTimeout === undefined) return []
  const isBounded = typeof drainTimeout === 'number' && drainTimeout >= 0 && drainTimeout <= longestDrain
  if (isBounded && Number.isInteger(drainTimeout)) return []
  const unbounded = drainTimeout === Infinity ? '; close({ timeout: Infinity }) waits without a bound' : ''
  return [
    `drainTimeout must be a whole number from 0 to ${longestDrain}, not ${said(drainTimeout)}${unbounded}`,
  ]
}

/** Milliseconds, an hour: a rebalance waits so long for a replier, and with it every member of its group. */
const longestDrain = 3_600_000

const onlyTimeout: ReadonlySet<string> = new Set(['timeout'])

/** Parts of ours that an application may bring along itself, and what is called of them. */
const methods = {
  clock: ['now', 'monotonic', 'schedule'],
  profile: ['addressHeaders', 'correlationHeader', 'readCorrelation', 'readReplyRequest'],
  transport: ['send', 'tail', 'join', 'describeTopics', 'close'],
} as const

/** What is wrong with the parts among these options; what is left out is ours. */
export function problemsOfParts(options: object): string[] {
  const problems: string[] = []
  const given = options as Readonly<Record<string, unknown>>
  for (const [name, needed] of Object.entries(methods)) {
    const part: unknown = given[name]
    if (part === undefined) continue
    if (!hasMethods(part, needed))
      problems.push(`${name} must have the methods ${needed.join(', ')}; it is ${classOf(part)}`)
  }
  const { random } = given
  if (random !== undefined && typeof random !== 'function')
    problems.push(`random must be a function that gives bytes, not ${classOf(random)}`)
  return problems
}

/** What is wrong with those of these options that are switches. */
export function problemsOfSwitches(options: object, names: readonly string[]): string[] {
  const given = options as Readonly<Record<string, unknown>>
  return names.flatMap((name) => {
    const value = given[name]
    if (value === undefined || typeof value === 'boolean') return []
    return `${name} must be true or false, not ${classOf(value)}`
  })
}
