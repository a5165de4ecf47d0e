/** A PostgreSQL server of our own, for as long as its process lives: nothing of it is meant to outlast the system. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findPrograms, findUser, type Programs, type User } from './binaries.ts'

export interface ServerOptions {
  /** Made if it does not exist; its parent must be enterable by everybody. */
  readonly dataDir: string
  readonly port: number
  /** From an earlier `startServer` with the same folder. */
  readonly password?: string | undefined
}

export interface Server {
  readonly url: string
  readonly password: string
  readonly pid: number
  stop(): Promise<void>
}

/** No fsync: the data need not survive a power cut. */
const settings = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'fsync=off',
  'max_connections=200',
]

export async function startServer(options: ServerOptions): Promise<Server> {
  const user = findUser()
  const programs = await findPrograms(user)
  const password = options.password ?? randomBytes(16).toString('hex')
  if (options.password === undefined) await initialise(programs, user, options.dataDir, password)
  else await stopLeftover(options.dataDir)

  const args = settings.flatMap((setting) => ['-c', setting])
  const server = spawn(programs.postgres, ['-D', options.dataDir, '-p', String(options.port), ...args], {
    ...user,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    let log = ''
    server.once('error', reject)
    server.stderr.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4_000)
      if (log.includes('ready to accept connections')) resolve()
    })
    void exited.then(() =>
      reject(new Error(`PostgreSQL did not start: ${log.trim().split('\n').join(' | ')}`)),
    )
  })
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${options.port}/postgres`,
    password,
    pid: server.pid!,
    stop() {
      // Immediate shutdown: nothing needs to be written out any more.
      server.kill('SIGQUIT')
      const timer = setTimeout(() => server.kill('SIGKILL'), 2_000)
      return exited.finally(() => clearTimeout(timer))
    },
  }
}

async function initialise(
  programs: Programs,
  user: User | undefined,
  dataDir: string,
  password: string,
): Promise<void> {
  const passwordFile = join(dirname(dataDir), 'password')
  await mkdir(dataDir, { recursive: true })
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (user !== undefined) {
    await chown(dataDir, user.uid, user.gid)
    await chown(passwordFile, user.uid, user.gid)
  }
  const args = [
    '-D',
    dataDir,
    '-U',
    'postgres',
    '-A',
    'scram-sha-256',
    '--no-sync',
    '-E',
    'UTF8',
    '--locale=C',
  ]
  try {
    await new Promise<void>((resolve, reject) => {
      let output = ''
      const initdb = spawn(programs.initdb, [...args, `--pwfile=${passwordFile}`], {
        ...user,
        cwd: '/',
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      initdb.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
      initdb.once('error', reject)
      initdb.once('close', (code) => {
        if (code === 0) resolve()
        else reject(new Error(`initdb ended with status ${code}: ${output.trim()}`))
      })
    })
  } finally {
    await rm(passwordFile, { force: true })
  }
}

/** Ends a server whose guarding process was killed, so that a new one can have its folder and port. */
async function stopLeftover(dataDir: string): Promise<void> {
  const text = await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number(text.split('\n')[0])
  if (!Number.isInteger(pid) || pid <= 1) return
  for (let tries = 0; tries < 50; tries++) {
    try {
      process.kill(pid, tries < 40 ? 'SIGQUIT' : 'SIGKILL')
    } catch {
      return
    }
    await sleep(100)
  }
}
