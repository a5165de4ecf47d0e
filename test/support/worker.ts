import { fork, type ChildProcess } from 'node:child_process'

/** A worker process, and another one in its place each time it dies. */
export class Worker {
  readonly #entry: URL
  readonly #options: unknown
  #process: ChildProcess
  #closed = false

  /** @param options what the process finds as JSON in its first argument */
  constructor(entry: URL, options: unknown) {
    this.#entry = entry
    this.#options = options
    this.#process = this.#start()
  }

  #start(): ChildProcess {
    const child = fork(this.#entry, [JSON.stringify(this.#options)], { execArgv: ['--conditions=x-source'] })
    child.once('exit', () => {
      if (!this.#closed) this.#process = this.#start()
    })
    return child
  }

  async close(): Promise<void> {
    this.#closed = true
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#process.kill('SIGKILL')
    await ended
  }
}
