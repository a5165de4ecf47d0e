/** Entry: the process that guards a Redis server and takes it along when it ends. */
import { runChild } from '@milena/hosting'
import { spawn } from 'node:child_process'

export interface RedisConfig {
  readonly program: string
  readonly port: number
}

runChild(async ({ program, port }: RedisConfig) => {
  // Nothing is kept on disk.
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const server = spawn(program, args, { cwd: '/', stdio: ['ignore', 'pipe', 'ignore'] })
  const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    void exited.then(() => reject(new Error(`${program} ended while starting`)))
    let log = ''
    server.stdout.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-1_000)
      if (log.includes('Ready to accept connections')) resolve()
    })
  })
  return {
    facts: {},
    async close() {
      server.kill('SIGTERM')
      await exited
    },
  }
})
