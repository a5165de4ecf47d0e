import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { waitFor } from '../../../test/support/wait-for.ts'
import { startKafka } from '../cluster.ts'
import { runKafkaTool } from '../console.ts'

const command = fileURLToPath(new URL('../main.ts', import.meta.url))

interface Running {
  child: ChildProcess
  /** Everything it has printed so far. */
  printed: () => string
  exit: Promise<number | NodeJS.Signals | null>
}

async function startCommand(t: TestContext, args: string[]): Promise<Running> {
  const child = spawn(process.execPath, ['--conditions=x-source', command, '--port', '0', ...args])
  t.after(() => child.kill('SIGKILL'))
  let printed = ''
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  const exit = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal))
  })
  await waitFor(() => printed.includes('\n'), { what: 'the line that says ready', timeout: 200_000 })
  return { child, printed: () => printed, exit }
}

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'milena-lifetime-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test('it prints one line, and SIGINT stops everything and removes what it made', async (t) => {
  const dir = join(await temporaryFolder(t), 'new')
  const { child, printed, exit } = await startCommand(t, ['--brokers', '1', '--dir', dir])
  assert.match(printed(), /^ready 127\.0\.0\.1:\d+\n$/)
  assert.ok(existsSync(join(dir, 'node-1')))
  child.kill('SIGINT')
  assert.equal(await exit, 0)
  assert.ok(!existsSync(dir), 'the folder is gone')
  await assertRefused(printed())
})

test('killed with -9, it takes its brokers and its data with it', async (t) => {
  const dir = join(await temporaryFolder(t), 'new')
  const { child, printed, exit } = await startCommand(t, ['--brokers', '1', '--dir', dir])
  child.kill('SIGKILL')
  await exit
  await waitFor(() => !existsSync(dir), { what: 'the data to be removed' })
  await assertRefused(printed())
})

test('with --keep the data stays, and the same folder goes on with it', async (t) => {
  const dir = await temporaryFolder(t)
  const first = await startKafka({ brokers: 1, dir, keep: true })
  const made = await runKafkaTool('kafka-topics', [
    '--bootstrap-server',
    first.brokers[0]!,
    '--create',
    '--topic',
    'kept',
  ])
  assert.equal(made.status, 0, made.stderr)
  await first.close()
  await assert.rejects(
    startKafka({ brokers: 2, dir, keep: true }),
    /has the data of 1 brokers: start it with --brokers 1/,
  )
  const second = await startKafka({ brokers: 1, dir })
  const { stdout } = await runKafkaTool('kafka-topics', ['--bootstrap-server', second.brokers[0]!, '--list'])
  await second.close()
  assert.match(stdout, /^kept$/m)
  assert.deepEqual(await readdir(dir), [], 'a folder that was there stays, empty')
})

test('a broker that cannot start is told with its own words, and nothing is left', async (t) => {
  const dir = await temporaryFolder(t)
  const starting = startKafka({ brokers: 1, dir, configs: { 'num.io.threads': 'many' } })
  await assert.rejects(starting, /Kafka node 1 did not come up: .*ended with status 1[^]*num\.io\.threads/)
  assert.deepEqual(await readdir(dir), [])
})

/** Nobody listens any more where the line says that brokers were. */
async function assertRefused(ready: string): Promise<void> {
  const addresses = ready.trim().replace('ready ', '').split(',')
  for (const address of addresses) {
    await assert.rejects(fetch(`http://${address}`), (error: Error) => {
      assert.ok(error.cause instanceof Error && 'code' in error.cause)
      assert.equal(error.cause.code, 'ECONNREFUSED')
      return true
    })
  }
}
