/** How many values of a payload are checked to survive their codec. */
const firstValues = 3

/** What is found out of one payload of an operation while its values are sent. */
export class Learned {
  /** How many values are still to be checked to survive their codec. */
  unchecked: number
  /** Also with a codec that is not the library's, and a schema that is asynchronous. */
  readonly always: boolean
  /** Whether the schema has been seen to be. */
  asynchronous = false
  /** Keys that the schema's output has not, and without which it is another one all the same. */
  readonly readKeys: Set<string> = new Set()
  /** Where the schema's output differs from call to call. */
  readonly unstable: Set<string> = new Set()

  /** @param check `undefined` for: outside of production */
  constructor(check: boolean | undefined) {
    this.unchecked = (check ?? process.env['NODE_ENV'] !== 'production') ? firstValues : 0
    this.always = check === true
  }
}
