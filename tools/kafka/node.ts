import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KafkaJars } from './release.ts'
import { startJvm } from './jvm.ts'
import type { Jvm } from './jvm.ts'
import { serverProperties } from './properties.ts'
import type { NodeSettings } from './properties.ts'
import { SetupError } from './setup-error.ts'

const stopLimit = 120_000

export interface NodeOptions extends Omit<NodeSettings, 'logDir'> {
  jars: KafkaJars
  clusterId: string
  /** The node's own folder: settings, log and data. */
  dir: string
  /** Leave the folder when this process dies without stopping the node. */
  keep: boolean
  /** A folder around `dir` to remove with the last node's, if it was made for this cluster. */
  around: string | undefined
  jvmOptions: readonly string[]
  /** Resolves when the node, just started again, serves as a member of the cluster. */
  awaitMember: (node: KafkaNode) => Promise<void>
}

/**
 * One process of the cluster: broker and controller in one.
 *
 *            start()              stop(): SIGTERM, controlled shutdown
 *   down ───────────────▶ up ───────────────────────────────────────────▶ down
 *     ▲                   │ ▲
 *     │  kill('SIGKILL')  │ │ kill('SIGSTOP') and kill('SIGCONT'): up, but deaf in between
 *     └───────────────────┘ └──
 */
export class KafkaNode {
  readonly id: number
  readonly port: number
  /** `127.0.0.1:port` */
  readonly address: string
  /** Where its controller half listens, `127.0.0.1:port`. */
  readonly controllerAddress: string
  readonly #options: NodeOptions
  #jvm: Jvm | undefined
  #ended: Promise<void> = Promise.resolve()
  #lastExit = 'not started'

  constructor(options: NodeOptions) {
    this.id = options.id
    this.port = options.port
    this.address = `127.0.0.1:${options.port}`
    this.controllerAddress = `127.0.0.1:${options.controllerPort}`
    this.#options = options
  }

  /** Process id of the JVM, undefined while the node is down. */
  get pid(): number | undefined {
    return this.#jvm?.pid
  }

  get running(): boolean {
    return this.#jvm !== undefined
  }

  /** How the process last ended, for error messages. */
  get lastExit(): string {
    return this.#lastExit
  }

  get logFile(): string {
    return join(this.#options.dir, 'kafka.log')
  }

  /** Resolves when the process is down, at once if it is. */
  get ended(): Promise<void> {
    return this.#ended
  }

  /** Starts the process over the data that is there; resolves before it serves. */
  async start(): Promise<void> {
    if (this.running) throw new Error(`Kafka node ${this.id} is running already`)
    const { dir, jars, jvmOptions, keep, around } = this.#options
    await this.#prepare()
    const log = openSync(this.logFile, 'a')
    const jvm = await startJvm({
      jars: jars.jars,
      mainClass: 'kafka.Kafka',
      args: [join(dir, 'server.properties')],
      jvmOptions,
      output: log,
      logLevel: 'INFO',
      ...(keep ? {} : { removeWithParent: dir }),
      ...(keep || around === undefined ? {} : { removeIfEmpty: around }),
    }).finally(() => closeSync(log))
    this.#jvm = jvm
    this.#ended = (async () => {
      if (jvm.child.exitCode === null && jvm.child.signalCode === null) await once(jvm.child, 'exit')
      this.#lastExit = `its JVM ended with status ${jvm.child.exitCode ?? jvm.child.signalCode}`
      this.#jvm = undefined
    })()
  }

  /**
   * Sends a signal to the JVM. After SIGKILL it resolves when the process is gone; other signals are only sent.
   * Nothing happens when the node is down.
   */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#jvm === undefined) return
    try {
      process.kill(this.#jvm.pid, signal)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error // it has just ended
    }
    if (signal === 'SIGKILL') await this.#ended
  }

  /**
   * A clean stop: leadership is handed over first. Resolves when the process is gone.
   * A node that does not get there in 120 s is killed, and the call rejects.
   */
  async stop(): Promise<void> {
    await this.kill('SIGCONT')
    await this.kill('SIGTERM')
    const stopped = await this.#endedWithin(stopLimit)
    if (stopped) return
    await this.kill('SIGKILL')
    throw new Error(`Kafka node ${this.id} did not stop within ${stopLimit} ms and was killed`)
  }

  /** Stops the node if it is up, starts it over its data and resolves when it serves and its replicas are in sync. */
  async restart(): Promise<void> {
    if (this.running) await this.stop()
    await this.start()
    await this.#options.awaitMember(this)
  }

  /** The log's last errors, for a message about a node that did not come up. */
  problems(): string {
    const lines = readFileSync(this.logFile, 'utf8').split('\n')
    const errors = lines.filter((line) => /ERROR|FATAL|Exception|Error:|Unrecognized/.test(line)).slice(-5)
    return (errors.length > 0 ? errors : lines.slice(-5)).join('\n')
  }

  async #endedWithin(limit: number): Promise<boolean> {
    const cancel = new AbortController()
    const late = sleep(limit, false, { signal: cancel.signal }).catch(() => false)
    const done = await Promise.race([this.#ended.then(() => true), late])
    cancel.abort()
    return done
  }

  /** Writes the settings, and formats the data folder as Kafka's storage tool does, unless it has been. */
  async #prepare(): Promise<void> {
    const { dir, jars, clusterId } = this.#options
    const logDir = join(dir, 'data')
    await mkdir(logDir, { recursive: true })
    await writeFile(join(dir, 'server.properties'), serverProperties({ ...this.#options, logDir }))
    const meta = join(logDir, 'meta.properties')
    const existing = await readFile(meta, 'utf8').catch(() => undefined)
    if (existing === undefined) {
      const directoryId = randomBytes(16)
      directoryId[0] = directoryId[0]! & 0x7f // an id that begins with "-" reads as an option
      const lines = ['version=1', `cluster.id=${clusterId}`, `node.id=${this.id}`]
      await cp(jars.formatted, logDir, { recursive: true })
      await writeFile(meta, `${[...lines, `directory.id=${directoryId.toString('base64url')}`].join('\n')}\n`)
    } else if (!existing.split('\n').includes(`cluster.id=${clusterId}`)) {
      throw new SetupError(`${logDir} belongs to another cluster: choose another --dir, or remove it`)
    }
  }
}
