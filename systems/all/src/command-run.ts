/** A system's command as a child process: what it prints is kept, and it ends with us, in whatever way we end. */
import { withCompileCache } from '@milena/hosting'
import { fork, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { System } from './systems.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
/** Milliseconds from SIGTERM to SIGKILL. */
const stopBound = 30_000

export interface Ended {
  /** Of what it printed to either stream the last part, at most `keptOutput` characters. */
  readonly output: string
  /** Why it has not shown what it is to show; `undefined` when it has. */
  readonly failure: string | undefined
}

export interface RunLimits {
  /** Milliseconds that it may print nothing before it is ended. */
  readonly silence: number
  /** Characters of its output that are kept. */
  readonly output: number
}

export const defaultLimits: RunLimits = { silence: 300_000, output: 1_000_000 }

export class CommandRun {
  readonly #system: System
  readonly #limits: RunLimits
  readonly #onOutput: (chunk: string) => void
  #child: ChildProcess | undefined
  #output = ''

  constructor(system: System, onOutput: (chunk: string) => void, limits: RunLimits = defaultLimits) {
    this.#system = system
    this.#onOutput = onOutput
    this.#limits = limits
  }

  /** The last line that it printed, for a line of progress. */
  get lastLine(): string {
    return lastLineOf(this.#output)
  }

  /** Resolves when it has ended, or could not begin. */
  async run(): Promise<Ended> {
    const { entry, args } = this.#system
    if (!existsSync(`${root}${entry}`)) return { output: '', failure: `there is no ${entry}` }
    const child = fork(`${root}${entry}`, [...args], {
      cwd: root,
      execArgv: ['--conditions=x-source'],
      env: withCompileCache(process.env),
      // The channel is how it notices that we are gone. It has its own session: Ctrl-C is for us, and we end it.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
    })
    this.#child = child
    let silent = false
    const timer = setTimeout(() => {
      silent = true
      void this.stop()
    }, this.#limits.silence)
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        timer.refresh()
        this.#output = (this.#output + chunk).slice(-this.#limits.output)
        this.#onOutput(chunk)
      })
    }
    const status = await new Promise<string | number>((resolve) => {
      child.once('error', (error) => resolve(error.message))
      child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
    })
    clearTimeout(timer)
    const output = this.#output
    if (silent) return { output, failure: `printed nothing for ${this.#limits.silence / 1000} s` }
    if (status === 0) return { output, failure: undefined }
    return { output, failure: typeof status === 'number' ? `status ${status}` : status }
  }

  /** Ends it, if it runs. */
  async stop(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = new Promise((resolve) => child.once('exit', resolve))
    const timer = setTimeout(() => child.kill('SIGKILL'), stopBound)
    child.kill('SIGTERM')
    await exited
    clearTimeout(timer)
  }
}

/** The last line with something on it. */
export function lastLineOf(output: string): string {
  return output.trimEnd().split('\n').at(-1)!.split('\r').at(-1)!.trim()
}
