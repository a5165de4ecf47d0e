/** Runs `npm run payments` for a test, and speaks to it as a stranger would: over HTTP and through its state file. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openTestCluster, uniqueName, type TestCluster } from './cluster.ts'
import { waitFor } from './wait-for.ts'

export interface SystemState {
  readonly pid: number
  readonly brokers: string
  readonly gateways: readonly { readonly pid: number; readonly url: string }[]
  readonly workers: readonly { readonly pid: number }[]
  readonly provider: { readonly pid: number; readonly url: string }
  readonly database: string
}

export interface LedgerEntry {
  readonly orderId: string
  readonly kind: 'charge' | 'refund'
  readonly amount: number
  readonly approvalId: string
  readonly attempts: number
  readonly at: string
}

export interface Ended {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A run of one of the system's commands. */
export interface Run {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
}

const root = new URL('../../', import.meta.url)
const main = 'systems/payment-gateway/src/main.ts'

export function run(args: readonly string[], env: NodeJS.ProcessEnv = {}, entry = main): Run {
  const child = spawn(
    process.execPath,
    ['--conditions=x-source', fileURLToPath(new URL(entry, root)), ...args],
    { cwd: fileURLToPath(root), env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const ended = new Promise<Ended>((resolve) => {
    // `exit`, not `close`: a grandchild that were left behind would hold the pipes open.
    child.once('exit', (status, signal) => setImmediate(() => resolve({ status, signal, stdout, stderr })))
  })
  return { process: child, ended }
}

/** The system, on the cluster of `KAFKA_BROKERS` or on its own embedded broker, under a prefix of its own. */
export class PaymentSystem {
  readonly run: Run
  readonly stateFile: string
  readonly prefix: string
  readonly #cluster: TestCluster | undefined
  readonly #folder: string

  private constructor(run: Run, stateFile: string, prefix: string, folder: string, cluster?: TestCluster) {
    this.run = run
    this.stateFile = stateFile
    this.prefix = prefix
    this.#folder = folder
    this.#cluster = cluster
  }

  static async start(args: readonly string[]): Promise<PaymentSystem> {
    const prefix = `${uniqueName('pay')}-`
    const cluster = process.env['KAFKA_BROKERS'] ? await openTestCluster() : undefined
    for (const topic of ['payment_request', 'payment_reply', 'payment_response']) cluster?.own(prefix + topic)
    const folder = mkdtempSync(join(tmpdir(), 'milena-test-'))
    const stateFile = join(folder, 'state.json')
    const started = run(['--port', '0', '--prefix', prefix, '--state', stateFile, ...args])
    const system = new PaymentSystem(started, stateFile, prefix, folder, cluster)
    let early: Ended | undefined
    void started.ended.then((ended) => (early = ended))
    try {
      await waitFor(() => early ?? system.state(), { what: 'the system to be ready', timeout: 180_000 })
      if (early !== undefined) throw new Error(`the system ended while starting: ${JSON.stringify(early)}`)
    } catch (error) {
      await system.close()
      throw error
    }
    return system
  }

  state(): SystemState {
    return JSON.parse(readFileSync(this.stateFile, 'utf8')) as SystemState
  }

  gateway(index: number): string {
    return this.state().gateways[index]!.url
  }

  pay(gateway: string, order: unknown): Promise<Answer> {
    return post(`${gateway}/payments`, order)
  }

  refund(gateway: string, orderId: string, refund: unknown): Promise<Answer> {
    return post(`${gateway}/payments/${orderId}/refund`, refund)
  }

  payment(gateway: string, orderId: string): Promise<Answer> {
    return ask(`${gateway}/payments/${orderId}`)
  }

  async behave(behaviour: Readonly<Record<string, number>>): Promise<void> {
    await ask(`${this.state().provider.url}/behaviour`, 'PUT', behaviour)
  }

  /** The provider's ledger, of one order or all. */
  async ledger(orderId?: string): Promise<LedgerEntry[]> {
    const { body } = await ask(`${this.state().provider.url}/ledger`)
    const entries = body as unknown as LedgerEntry[]
    return orderId === undefined ? entries : entries.filter((entry) => entry.orderId === orderId)
  }

  async close(): Promise<Ended> {
    this.run.process.kill('SIGTERM')
    const ended = await this.run.ended
    rmSync(this.#folder, { recursive: true, force: true })
    await this.#cluster?.close()
    return ended
  }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Readonly<Record<string, unknown>>
}

export function post(url: string, body: unknown): Promise<Answer> {
  return ask(url, 'POST', body)
}

export async function ask(url: string, method = 'GET', body?: unknown): Promise<Answer> {
  const response = await fetch(url, {
    method,
    ...(body !== undefined && {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }),
    signal: AbortSignal.timeout(60_000),
  })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  }
}

/** Whether a process is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
