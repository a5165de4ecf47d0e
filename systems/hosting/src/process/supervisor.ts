/**
 * Starts the system's processes, keeps them (with `restart`), and ends them: a small stand-in for an orchestrator.
 *
 *            start()            ready              died unasked, restart on
 *   (none) ─────────▶ starting ───────▶ running ───────────────────────────▶ waiting ──▶ starting
 *                        │ failed          │ stop()                              │ stop()
 *                        ▼                 ▼                                     ▼
 *                      ended            stopping ──── exited, or killed ─────▶ ended
 */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { withCompileCache } from './compile-cache.ts'
import type { FromChild } from './messages.ts'
import { StartError } from './start-error.ts'

export interface ChildSpec {
  /** For messages, such as `gateway-1`. */
  readonly name: string
  /** The process's entry file. */
  readonly entry: URL
  /** What it is started with; on a restart, what `restartConfig` makes of it, if given. */
  readonly config: unknown
  readonly restartConfig?: ((facts: unknown) => unknown) | undefined
  /** Called after it was restarted. */
  readonly onRestart?: (() => void) | undefined
}

export interface SupervisorOptions {
  /** Whether a child that died is started again. */
  readonly restart: boolean
  /** Called after a child died unasked, and again after it was restarted. */
  readonly onChange: () => void
  readonly log: (line: string) => void
}

/** Milliseconds from a death to the restart: at first, and at most when it keeps dying. */
const restartDelay = { first: 200, most: 5_000 }
/** Milliseconds that a child may take to become ready. */
const readyBound = 60_000
/** Milliseconds from SIGTERM to SIGKILL. */
const stopBound = 20_000

export class SupervisedChild {
  readonly name: string
  #spec: ChildSpec
  #options: SupervisorOptions
  #process: ChildProcess | undefined
  #facts: unknown
  #stopping = false
  #delay = restartDelay.first
  #timer: NodeJS.Timeout | undefined

  constructor(spec: ChildSpec, options: SupervisorOptions) {
    this.name = spec.name
    this.#spec = spec
    this.#options = options
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  get alive(): boolean {
    return this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null
  }

  /** What the child said of itself when it was last ready. */
  get facts(): unknown {
    return this.#facts
  }

  /** Resolves when the child is ready; rejects, with no process left, when it cannot be. */
  async start(config: unknown = this.#spec.config): Promise<void> {
    const child = fork(fileURLToPath(this.#spec.entry), [this.name], {
      execArgv: process.execArgv,
      env: withCompileCache(process.env),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      detached: true,
    })
    this.#process = child
    this.#facts = await new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL')
        reject(new Error(`${this.name} was not ready within ${readyBound / 1000} s`))
      }, readyBound)
      child.on('message', (message: FromChild) => {
        if (message.type === 'ready') resolve(message.facts)
        else
          reject(
            message.usage ? new StartError(message.message) : new Error(`${this.name}: ${message.message}`),
          )
      })
      child.once('error', reject)
      child.once('exit', (code, signal) => {
        clearTimeout(timer)
        reject(new Error(`${this.name} ended while starting (${signal ?? `status ${code}`})`))
      })
      child.send({ type: 'start', config }, (error) => error && reject(error))
      void child.once('message', () => clearTimeout(timer))
    })
    child.once('exit', (code, signal) => this.#died(signal ?? `status ${code}`))
    // It may have exited between the message and the line above.
    if (!this.alive) this.#died('at once')
  }

  /** Has it die and, with `restart`, begin anew. */
  kill(): void {
    if (this.alive) this.#process!.kill('SIGKILL')
  }

  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#timer)
    const child = this.#process
    if (child === undefined || !this.alive) return
    const exited = new Promise((resolve) => child.once('exit', resolve))
    const timer = setTimeout(() => child.kill('SIGKILL'), stopBound)
    child.kill('SIGTERM')
    await exited
    clearTimeout(timer)
  }

  #died(how: string): void {
    if (this.#stopping) return
    const { restart, log, onChange } = this.#options
    log(`${this.name} (pid ${this.pid}) died: ${how}${restart ? '; restarting it' : ''}`)
    onChange()
    if (restart) this.#restartLater()
  }

  #restartLater(): void {
    this.#timer = setTimeout(() => {
      const { restartConfig, config, onRestart } = this.#spec
      this.start(restartConfig === undefined ? config : restartConfig(this.#facts)).then(
        () => {
          this.#delay = restartDelay.first
          this.#options.onChange()
          onRestart?.()
        },
        (error: unknown) => {
          if (this.#stopping) return
          this.#options.log(`${this.name} cannot be restarted, trying again: ${String(error)}`)
          this.#delay = Math.min(restartDelay.most, this.#delay * 2)
          this.#restartLater()
        },
      )
    }, this.#delay)
  }
}
