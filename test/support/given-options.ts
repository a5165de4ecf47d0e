/**
 * What takes options, tried with options that are wrong: unknown names, and every option with every wrong kind of value. It
 * refuses them with an error of its own, or can live with them; JavaScript's own errors never come out.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

export interface TakesOptions {
  readonly name: string
  /** Calls it with these in the place of its options; what it gives is closed, or read to its end, and waited for. */
  readonly call: (options: never) => unknown
  /** Each of its options with a value that it may have. */
  readonly options: Readonly<Record<string, unknown>>
  /** Options that cannot stand beside the others: they are tried, and else left out. */
  readonly apart: readonly string[]
  /** Whether it can do without options. */
  readonly optional: boolean
}

/** An entry of the table. `Options` holds it to naming every option that there is. */
export function takes<Options extends object>(
  name: string,
  call: (options: Options) => unknown,
  options: { readonly [Name in keyof Required<Options>]: unknown },
  { apart = [], optional = false }: { apart?: readonly (keyof Options & string)[]; optional?: boolean } = {},
): TakesOptions {
  return { name, call, options, apart, optional }
}

export interface Errors {
  /** Whether it is the error of options that are refused; `problem` is a part of what it says. */
  isRefusal(error: unknown): boolean
  /** Whether it is an error of the package's own. */
  isOwn(error: unknown): boolean
}

/** Runs the table. */
export function refuseWrongOptions(table: readonly TakesOptions[], errors: Errors): void {
  for (const entry of table) {
    const { name, call, options, apart, optional } = entry
    const right = Object.fromEntries(Object.entries(options).filter(([option]) => !apart.includes(option)))
    describe(name, () => {
      test('takes the options that the table has for it', () => done(call(right as never)))

      test('refuses an option that there is not, and names it', async () => {
        const error = await failure(call, { ...right, mistyped: 1 })
        assert.ok(errors.isRefusal(error), told(error))
        assert.match((error as Error).message, /there is no option mistyped/)
      })

      test('refuses what is no object with options', async () => {
        for (const given of noOptions) {
          if (given === undefined && optional) continue
          const error = await failure(call, given)
          assert.ok(errors.isRefusal(error), `given ${kindOf(given)}: ${told(error)}`)
        }
      })

      test('says in its own words what is wrong with a value, or can live with it', async () => {
        for (const option of Object.keys(options))
          for (const value of values) {
            const beside = apart.includes(option) ? { ...right, ...without(options, apart, option) } : right
            const error = await failure(call, { ...beside, [option]: value })
            assert.ok(
              error === undefined || errors.isOwn(error),
              `${option}: ${kindOf(value)}: ${told(error)}`,
            )
          }
      })
    })
  }
}

/** Every function that a module exports, and each method of an object, is in the table or among those without options. */
export function refuseUnlisted(
  what: string,
  functions: readonly string[],
  table: readonly TakesOptions[],
  withoutOptions: readonly string[],
): void {
  test(`${what}: each is in the table, or said to take no options`, () => {
    const listed = [...table.map(({ name }) => name), ...withoutOptions]
    assert.deepEqual(functions.toSorted(), functions.filter((name) => listed.includes(name)).toSorted())
  })
}

/** The names of a module's functions and classes. */
export function functionsOf(module: object): string[] {
  return Object.entries(module)
    .filter(([, value]) => typeof value === 'function')
    .map(([name]) => name)
}

/** The names of an object's methods, such as `requester.request`. */
export function methodsOf(prefix: string, object: object): string[] {
  const names = new Set<string>()
  for (let at: object | null = object; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at))
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(at)))
      if (typeof property.value === 'function' && name !== 'constructor') names.add(`${prefix}.${name}`)
  return [...names]
}

const noOptions: readonly unknown[] = [undefined, null, 'text', 7, true, [], () => undefined, Symbol('s')]
const some = (): Buffer => Buffer.alloc(16)
const values: readonly unknown[] = [null, '', 'text', -1, 7, Number.NaN, true, {}, [], some, Symbol('s')]

async function failure(call: (options: never) => unknown, given: unknown): Promise<unknown> {
  try {
    await done(call(given as never))
    return undefined
  } catch (error) {
    return error ?? new Error('nothing was thrown')
  }
}

/** Waits for what a call gives, and closes what it has opened. */
async function done(given: unknown): Promise<void> {
  const result = Object(await given) as { close?: unknown; next?: unknown }
  if (typeof result.next === 'function' && Symbol.asyncIterator in result) {
    const generator = result as unknown as AsyncGenerator
    await generator.next()
    await generator.return(undefined)
  } else if (typeof result.close === 'function')
    await (result.close as (options: unknown) => Promise<void>).call(result, { timeout: 0 })
}

/** The others of those that cannot stand together must go. */
function without(options: object, apart: readonly string[], option: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(options)
      .filter((name) => apart.includes(name) && name !== option)
      .map((name) => [name, undefined]),
  )
}

function kindOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

function told(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : `it was ${kindOf(error)}`
}
