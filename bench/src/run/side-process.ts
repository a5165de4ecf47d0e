/** The benchmark's end of a side in Node: a child process that speaks `side/protocol.ts`. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Answer, BlockPlan, BlockResult, Order, Profile, ProfileKind, Ready } from '../side/protocol.ts'
import type { BenchSystem, Egress, Side, SidePlan } from '../system.ts'

/** Milliseconds that a side may take to open, and to close before it is killed. */
const openLimit = 60_000
const closeLimit = 15_000

const nodeSide = fileURLToPath(new URL('../side/main.ts', import.meta.url))

interface Waiting {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

export class SideProcess implements Side {
  readonly pid: number
  /** What an answerer said where it is. */
  readonly address: string
  readonly #child: ChildProcess
  readonly #name: string
  readonly #waiting: Map<number, Waiting>
  #lastId = 0

  private constructor(child: ChildProcess, name: string, address: string, waiting: Map<number, Waiting>) {
    this.#name = name
    this.#child = child
    this.pid = child.pid!
    this.address = address
    this.#waiting = waiting
  }

  /** Resolves when the side can be used; rejects when its process ends, or says nothing for a minute. */
  static async open(system: BenchSystem, plan: SidePlan): Promise<SideProcess> {
    const args = ['--conditions=x-source', nodeSide, JSON.stringify(plan)]
    return SideProcess.start(process.execPath, args, `${system.name}, ${plan.side}`)
  }

  static async start(command: string, args: readonly string[], name: string): Promise<SideProcess> {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const waiting = new Map<number, Waiting>()
    const ready = new Promise<unknown>((resolve, reject) => waiting.set(0, { resolve, reject }))
    const fail = (why: string): void => {
      for (const { reject } of waiting.values()) reject(new Error(`${name}: ${why}`))
      waiting.clear()
    }
    child.on('error', (error) => fail(error.message))
    child.on('exit', (status, signal) => fail(`its process ended with ${status ?? signal}`))
    child.stdin.on('error', () => {}) // its exit says the same
    createInterface(child.stdout).on('line', (line) => {
      if (line.startsWith('{')) hear(JSON.parse(line) as Answer | Ready)
      else process.stderr.write(`${name}: ${line}\n`)
    })
    const hear = (said: Answer | Ready): void => {
      const id = 'ready' in said ? 0 : said.id
      const waiter = waiting.get(id)
      waiting.delete(id)
      if ('ready' in said) waiter?.resolve(said)
      else if (said.error === undefined) waiter?.resolve(said.result)
      else waiter?.reject(new Error(`${name}: ${said.error}`))
    }
    const cancel = new AbortController()
    void sleep(openLimit, undefined, { signal: cancel.signal }).then(
      () => child.kill('SIGKILL'),
      () => {},
    )
    try {
      const { address = '' } = (await ready) as Ready
      return new SideProcess(child, name, address, waiting)
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    } finally {
      cancel.abort()
    }
  }

  block(plan: BlockPlan): Promise<BlockResult> {
    return this.#ask({ order: 'block', plan }) as Promise<BlockResult>
  }

  egress(): Promise<Egress> {
    return this.#ask({ order: 'egress' }) as Promise<Egress>
  }

  async scale(requesters: number): Promise<void> {
    await this.#ask({ order: 'scale', requesters })
  }

  async startProfile(kind: ProfileKind): Promise<void> {
    await this.#ask({ order: 'start-profile', kind })
  }

  stopProfile(): Promise<Profile> {
    return this.#ask({ order: 'stop-profile' }) as Promise<Profile>
  }

  /** A side that does not close is killed. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    const cancel = new AbortController()
    const late = sleep(closeLimit, undefined, { signal: cancel.signal }).catch(() => {})
    await Promise.race([this.#ask({ order: 'close' }).catch(() => {}), late])
    cancel.abort()
    this.#child.stdin!.end()
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), 2_000)
    await exit
    clearTimeout(kill)
  }

  #ask(order: Omit<Order, 'id'>): Promise<unknown> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      return Promise.reject(new Error(`${this.#name}: its process has ended`))
    }
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId
      this.#waiting.set(id, { resolve, reject })
      this.#child.stdin!.write(`${JSON.stringify({ id, ...order })}\n`)
    })
  }
}
