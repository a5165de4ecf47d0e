/** One line that shows how far things are; where the output is no terminal, a line for each step instead. */
export class Progress {
  readonly #out: NodeJS.WriteStream
  #step = ''
  #shown = 0

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
  }

  /** What is being done, and how far it is. */
  show(step: string, detail = ''): void {
    if (!this.#out.isTTY) {
      if (step !== this.#step) this.#out.write(`${step}\n`)
    } else if (step !== this.#step || Date.now() - this.#shown > 100) {
      this.#shown = Date.now()
      this.#out.write(`\r\u001B[K${step}${detail}`)
    }
    this.#step = step
  }

  clear(): void {
    if (this.#out.isTTY) this.#out.write('\r\u001B[K')
    this.#step = ''
  }
}
