import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'

/** Milliseconds; long, because a JVM may start on a small busy machine, and a program that ends is noticed at once. */
const eventLimit = 120_000
const closeLimit = 15_000
/** Lines that are kept of what a program writes beside its events. */
const keptLines = 40

interface Waiting {
  readonly event: string
  readonly resolve: (event: object) => void
  readonly reject: (error: Error) => void
}

/**
 * A program of somebody else's client, as a process: it writes events to standard output, one JSON object with a field
 * `event` a line, takes orders from standard input, one a line, and ends when that ends, so also with this process.
 */
export class Program implements AsyncDisposable {
  /** The process whose CPU time and memory count. */
  readonly pid: number
  readonly #name: string
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  readonly #output: string[] = []
  readonly #events: { readonly event: string }[] = []
  #waiting: Waiting | undefined
  #problem: Error | undefined

  /** @param child with pipes for standard input and output */
  constructor(name: string, child: ChildProcess, pid: number) {
    this.pid = pid
    this.#name = name
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#read(line))
    }
    child.stdin?.on('error', () => {}) // it has ended, which is told below
    // `close` and not `exit`: then its last words have been read.
    this.#ended = new Promise((resolve) => {
      child.once('close', (status, signal) => {
        this.#problem = new Error(
          `${this.#name} ended (${signal ?? status}); it wrote:\n${this.#output.join('\n')}`,
        )
        this.#waiting?.reject(this.#problem)
        resolve()
      })
    })
  }

  /**
   * The next event of this name; others before it are passed over. One call at a time.
   * Rejects, with what the program wrote last, when it ends first, or when nothing comes within `limit` milliseconds.
   */
  async next<Event extends object>(event: string, limit = eventLimit): Promise<Event> {
    for (let each = this.#events.shift(); each; each = this.#events.shift()) {
      if (each.event === event) return each as unknown as Event
    }
    if (this.#problem) throw this.#problem
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<Event>((resolve, reject) => {
        this.#waiting = { event, resolve: resolve as (event: object) => void, reject }
        timer = setTimeout(() => {
          const said = this.#output.join('\n')
          reject(new Error(`${this.#name}: no "${event}" within ${limit} ms; it wrote:\n${said}`))
        }, limit)
      })
    } finally {
      clearTimeout(timer)
      this.#waiting = undefined
    }
  }

  /** Gives an order. */
  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** Ends standard input, and kills the program when it has not ended of itself after 15 s. Can be called again. */
  async close(): Promise<void> {
    this.#child.stdin?.end()
    const timer = setTimeout(() => {
      if (this.#problem === undefined) process.kill(this.pid, 'SIGKILL')
    }, closeLimit)
    await this.#ended
    clearTimeout(timer)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #read(line: string): void {
    const event = parseEvent(line)
    if (event === undefined) {
      this.#output.push(line)
      if (this.#output.length > keptLines) this.#output.shift()
    } else if (this.#waiting?.event === event.event) {
      this.#waiting.resolve(event)
      this.#waiting = undefined // the next line may be here already
    } else if (this.#waiting === undefined) this.#events.push(event)
  }
}

function parseEvent(line: string): { readonly event: string } | undefined {
  if (!line.startsWith('{"event":')) return undefined
  try {
    return JSON.parse(line) as { event: string }
  } catch {
    return undefined
  }
}
