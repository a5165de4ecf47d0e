/** The provider's memory across its own restarts, for its own user alone: a line of JSON for every outcome, written before it is told. */
import { appendFileSync, existsSync, openSync, readFileSync, truncateSync } from 'node:fs'

export class Journal<Entry> {
  readonly #file: string | undefined
  /** Open from the first entry on, until the process ends. */
  #handle: number | undefined

  /** Without a file nothing is kept. */
  constructor(file: string | undefined) {
    this.#file = file
  }

  read(): Entry[] {
    if (this.#file === undefined || !existsSync(this.#file)) return []
    const bytes = readFileSync(this.#file)
    // What follows the last line break was being written when the process was killed: it was never told to anybody.
    const whole = bytes.subarray(0, bytes.lastIndexOf('\n') + 1)
    truncateSync(this.#file, whole.length)
    const lines = whole.toString().split('\n').slice(0, -1)
    return lines.map((line) => JSON.parse(line) as Entry)
  }

  append(entry: Entry): void {
    if (this.#file === undefined) return
    this.#handle ??= openSync(this.#file, 'a', 0o600)
    appendFileSync(this.#handle, `${JSON.stringify(entry)}\n`)
  }
}
