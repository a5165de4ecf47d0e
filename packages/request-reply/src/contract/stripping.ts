/**
 * What a schema strips, found by comparing what it was given with what it made of it.
 */

/** A value nested deeper is not looked into; JSON.stringify itself ends at some thousands. */
export const deepest = 500

export function tooDeep(): RangeError {
  return new RangeError(`nested deeper than ${deepest}`)
}

/** A place in a value: keys, with all items of a list as one. */
export function stepInto(path: string, key: string | undefined): string {
  return `${path}\0${key === undefined ? '[]' : JSON.stringify(key)}`
}

/**
 * The value without the keys that the output has not; the value itself when there are none. One walk.
 *
 * @param flatten whether an object of a class may be replaced by a plain one with what the schema has read of it
 * @param keep places (`stepInto`) that stay
 * @throws RangeError when both are nested too deep, as in a circle
 */
export function withoutStripped(
  value: unknown,
  output: unknown,
  flatten: boolean,
  keep?: ReadonlySet<string>,
): unknown {
  const walk = keep === undefined ? (flatten ? flattening : plain) : new Walk(flatten, keep, undefined)
  return walk.value(value, output, '', 0)
}

/** The places of the keys that the output has not. */
export function strippedPaths(value: unknown, output: unknown, flatten: boolean): Set<string> {
  const found = new Set<string>()
  new Walk(flatten, undefined, found).value(value, output, '', 0)
  return found
}

/** A copy of plain objects and arrays; what is in them of other kinds is the same. */
export function snapshot(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth > deepest) throw tooDeep()
  if (Array.isArray(value)) return value.map((item) => snapshot(item, depth + 1))
  if (!isPlain(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, snapshot(item, depth + 1)]))
}

type Fields = Readonly<Record<string, unknown>>

class Walk {
  readonly #flatten: boolean
  readonly #keep: ReadonlySet<string> | undefined
  readonly #found: Set<string> | undefined
  /** Paths are only made where somebody asks for them. */
  readonly #tracks: boolean

  constructor(flatten: boolean, keep: ReadonlySet<string> | undefined, found: Set<string> | undefined) {
    this.#flatten = flatten
    this.#keep = keep
    this.#found = found
    this.#tracks = keep !== undefined || found !== undefined
  }

  value(value: unknown, output: unknown, path: string, depth: number): unknown {
    if (value === output || typeof value !== 'object' || value === null) return value
    if (typeof output !== 'object' || output === null) return value
    if (depth > deepest) throw tooDeep()
    if (Array.isArray(value)) return Array.isArray(output) ? this.#list(value, output, path, depth) : value
    if (!isPlain(output)) return value
    if (isPlain(value)) return this.#fields(value as Fields, output as Fields, path, depth)
    return this.#flatten && isFlattened(value)
      ? this.#instance(value as Fields, output as Fields, path, depth)
      : value
  }

  #list(value: readonly unknown[], output: readonly unknown[], path: string, depth: number): unknown {
    if (value.length !== output.length) return value
    const inside = this.#tracks ? stepInto(path, undefined) : ''
    let copy: unknown[] | undefined
    for (let i = 0; i < value.length; i++) {
      const item = this.value(value[i], output[i], inside, depth + 1)
      if (item !== value[i]) (copy ??= [...value])[i] = item
    }
    return copy ?? value
  }

  #fields(value: Fields, output: Fields, path: string, depth: number): unknown {
    let entries: [string, unknown][] | undefined
    let before = 0
    // It makes no list of the keys; the prototype has none, unless somebody has put some there, and these are left out.
    for (const key in value) {
      const given = value[key]
      // The common field: as it was given, and nothing that could have more in it.
      if (
        entries === undefined &&
        given === output[key] &&
        given !== undefined &&
        typeof given !== 'object'
      ) {
        before++
        continue
      }
      const inside = this.#tracks ? stepInto(path, key) : ''
      if (Object.hasOwn(output, key)) {
        const kept = this.value(given, output[key], inside, depth + 1)
        if (kept !== given) entries ??= entriesBefore(value, before)
        entries?.push([key, kept])
      } else if (!isWritten(key, given) || this.#stays(inside)) {
        entries?.push([key, given])
      } else {
        entries ??= entriesBefore(value, before)
      }
      before++
    }
    // Not by assignment: a key may be `__proto__`.
    return entries === undefined ? value : Object.fromEntries(entries)
  }

  /** An object of a class: what the schema has read may come from getters of the class, or differ from its `toJSON`. */
  #instance(value: Fields, output: Fields, path: string, depth: number): unknown {
    const entries: [string, unknown][] = []
    for (const key of Object.keys(output)) {
      if (!Object.hasOwn(value, key) && (!(key in value) || key in Object.prototype)) continue
      entries.push([
        key,
        this.value(value[key], output[key], this.#tracks ? stepInto(path, key) : '', depth + 1),
      ])
    }
    for (const key of Object.keys(value)) {
      if (Object.hasOwn(output, key) || !isWritten(key, value[key])) continue
      if (this.#stays(this.#tracks ? stepInto(path, key) : '')) entries.push([key, value[key]])
    }
    return Object.fromEntries(entries)
  }

  #stays(path: string): boolean {
    this.#found?.add(path)
    return this.#keep?.has(path) ?? false
  }
}

const plain = new Walk(false, undefined, undefined)
const flattening = new Walk(true, undefined, undefined)

function entriesBefore(value: Fields, end: number): [string, unknown][] {
  return Object.entries(value).slice(0, end)
}

/** What JSON leaves out need not be stripped; but a `toJSON` would write what no schema has seen. */
function isWritten(key: string, value: unknown): boolean {
  if (typeof value === 'function') return key === 'toJSON'
  return value !== undefined && typeof value !== 'symbol'
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Not a Date, a Map, bytes, and whatever else of the language has its own form. */
function isFlattened(value: object): boolean {
  const tag = Object.prototype.toString.call(value)
  return tag === '[object Object]' || tag === '[object Error]'
}
