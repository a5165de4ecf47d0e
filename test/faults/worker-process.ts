/** Starts `group-worker.ts` and keeps what it tells. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { waitFor } from '../support/wait-for.ts'

export interface WorkerSettings {
  readonly brokers: readonly string[]
  readonly groupId: string
  readonly topic: string
  readonly instanceId?: string
  readonly sessionTimeout: number
}

/** One record that some member was handed. */
export interface Handled {
  readonly partition: number
  readonly offset: number
  readonly worker: string
  /** When it was handed over, as of `Date.now()`. */
  readonly at: number
}

export class Worker implements AsyncDisposable {
  readonly name: string
  /** `['assigned', [0, 1]]` and so on, without the records. */
  readonly events: [string, ...unknown[]][] = []
  readonly held = new Set<number>()
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  #problems = ''

  constructor(name: string, settings: WorkerSettings, handled: Handled[]) {
    this.name = name
    const script = fileURLToPath(new URL('group-worker.ts', import.meta.url))
    this.#child = spawn(process.execPath, ['--conditions=x-source', script, JSON.stringify(settings)])
    this.#exited = once(this.#child, 'exit')
    this.#child.stderr!.on('data', (chunk: Buffer) => (this.#problems += chunk.toString()))
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const [event, first, second, at] = JSON.parse(line) as [string, unknown, unknown, number]
      if (event === 'record') {
        handled.push({ partition: first as number, offset: second as number, worker: name, at })
        return
      }
      this.events.push([event, first, second])
      if (event === 'assigned') for (const one of first as number[]) this.held.add(one)
      if (event === 'revoked' || event === 'lost') for (const one of first as number[]) this.held.delete(one)
    })
  }

  /** Resolves when it holds exactly so many partitions. */
  async holds(count: number): Promise<void> {
    const what = `${this.name} to hold ${count} partitions`
    await waitFor(() => this.held.size === count, { what, timeout: 180_000 }).catch((error: Error) => {
      throw new Error(
        `${error.message}; it holds ${[...this.held].join()}, ${JSON.stringify(this.events)} ${this.#problems}`,
      )
    })
  }

  told(event: string): unknown[] {
    return this.events.filter(([name]) => name === event)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  /** Closes it and resolves when its process has ended by itself; rejects when it does not. */
  async close(): Promise<void> {
    this.#child.stdin!.end()
    let ended = false
    void this.#exited.then(() => (ended = true))
    await waitFor(() => ended, { what: `${this.name} to end`, timeout: 30_000 }).catch((error: Error) => {
      throw new Error(`${error.message}; ${JSON.stringify(this.events)} ${this.#problems}`)
    })
    if (this.#child.exitCode !== 0)
      throw new Error(`${this.name} ended with ${this.#child.exitCode}: ${this.#problems}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill()
  }
}
