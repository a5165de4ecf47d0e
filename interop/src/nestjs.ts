/**
 * NestJS 12 over Apache Kafka (kafkajs) as processes (`interop/nestjs`, an npm project of its own): a controller with
 * `@MessagePattern`, and `ClientKafka`. Its headers have the names of Spring's with text for bytes: the `nest` profile's.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { SetupError } from '../../tools/kafka/setup-error.ts'
import { buildOnce } from './build-once.ts'
import { Program } from './program.ts'
import { requesterOf, type OtherRequester } from './requester.ts'

const sources = fileURLToPath(new URL('../nestjs', import.meta.url))

export interface NestOptions {
  /** `host:port` of each. */
  readonly brokers: readonly string[]
  /** The consumer group; NestJS adds `-server` or `-client`. All requesters of a group share the reply topics' partitions. */
  readonly groupId: string
  /** Request topics; they and, for a requester, the topics `<topic>.reply` must exist. */
  readonly topics: readonly string[]
  /** What stands before the request's text in a reply. Default nothing: an echo. */
  readonly prefix?: string
  /** Milliseconds that the requester waits for a reply (NestJS itself has no limit). Default 30 000. */
  readonly timeout?: number
  /** NestJS's own Kafka options (`consumer`, `producer`, `run`, `send`, …). Default none: its defaults. */
  readonly settings?: Readonly<Record<string, unknown>>
}

/** Installs the NestJS program on first use. Throws a SetupError when npm cannot. */
export async function buildNest(): Promise<string> {
  return buildOnce('nestjs', sources, installWithNpm)
}

/** Starts a replier; resolves when it listens. Throws as `buildNest` does. */
export async function startNestReplier(options: NestOptions): Promise<Program> {
  return start('replier', options)
}

/** Starts a requester; resolves when it can ask. Throws as `buildNest` does. */
export async function startNestRequester(options: NestOptions): Promise<OtherRequester> {
  return requesterOf(await start('requester', options), options.timeout ?? 30_000)
}

async function start(role: string, options: NestOptions): Promise<Program> {
  const home = await buildNest()
  const all = { role, prefix: '', timeout: 30_000, settings: {}, ...options }
  // Without our own conditions and loaders: it is to run as it would by itself.
  const child = spawn(process.execPath, ['--no-deprecation', join(home, 'main.mjs'), JSON.stringify(all)], {
    cwd: home,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', NO_COLOR: '1' },
  })
  const program = new Program(`the NestJS ${role}`, child, child.pid!)
  try {
    await program.next('ready')
  } catch (error) {
    await program.close()
    throw error
  }
  return program
}

async function installWithNpm(folder: string): Promise<void> {
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const child = spawn('npm', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (cause) => reject(new SetupError(`npm could not be started: ${cause.message}`)))
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [output, problems, status] = await Promise.race([
    Promise.all([text(child.stdout), text(child.stderr), ended]),
    failed,
  ])
  if (status === 0) return
  const reason = (output + problems).split('\n').find((line) => line.includes('error')) ?? 'no reason given'
  throw new SetupError(
    `npm could not install the NestJS program: ${reason.trim()} (try again with a network)`,
  )
}
