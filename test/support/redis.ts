/** A Redis for tests: `REDIS_URL`, or a server of their own where its program is installed; `undefined` where there is neither. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findFreePort } from '../../systems/hosting/src/process/free-port.ts'

export interface TestRedis {
  readonly url: string
  /** Ends it as a crash would, where it is the test's own. */
  kill(): Promise<void>
  /** Begins anew under the same address, with nothing in it. */
  restart(): Promise<void>
  close(): Promise<void>
}

/** Why there is none, for a test that is skipped. */
export const noRedis = 'no Redis: install redis-server'

/** Whether `openTestRedis` has a server to start. */
export function hasRedis(): boolean {
  return spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status === 0
}

export async function openTestRedis(): Promise<TestRedis> {
  const port = await findFreePort()
  const folder = mkdtempSync(join(tmpdir(), 'milena-redis-'))
  const begin = async (): Promise<ReturnType<typeof spawn>> => {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder]
    const server = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.once('exit', (status) => reject(new Error(`redis-server ended with status ${status}`)))
      server.stdout.on('data', (chunk: Buffer) => {
        if (chunk.toString().includes('Ready to accept connections')) resolve()
      })
    })
    return server
  }
  let server = await begin()
  // Whatever ends this process takes it along.
  const end = (): void => void server.kill('SIGKILL')
  process.once('exit', end)
  const kill = async (): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return
    const exited = new Promise((resolve) => server.once('exit', resolve))
    server.kill('SIGKILL')
    await exited
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    kill,
    async restart() {
      await kill()
      server = await begin()
    },
    async close() {
      process.off('exit', end)
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
