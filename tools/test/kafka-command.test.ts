import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const command = fileURLToPath(new URL('../kafka/main.ts', import.meta.url))

/** `npm run kafka` with these arguments, which is expected to end by itself. */
async function kafka(args: string[], env: NodeJS.ProcessEnv = {}): Promise<{ status: number; said: string }> {
  const child = spawn(process.execPath, ['--conditions=x-source', command, ...args], {
    env: { ...process.env, ...env },
  })
  const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)))
  const [printed, said, status] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  assert.equal(printed, '', 'nothing is printed on standard output')
  return { status, said }
}

test('a taken port is told before anything starts', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  t.after(() => server.close())
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const { status, said } = await kafka(['--brokers', '2', '--port', String(address.port - 1)])
  assert.equal(status, 2)
  assert.match(said, /^kafka: port \d+ is taken: choose other ports with --port\n$/)
})

for (const [args, expected] of [
  [['--broker', '3'], /^kafka: Unknown option '--broker'/],
  [['--brokers', 'three'], /^kafka: --brokers three: a whole number is wanted\n$/],
  [['--brokers', '0'], /^kafka: the number of brokers must be 1 to 9\n$/],
  [['--port', '65535'], /^kafka: port 65535 is not possible for 3 brokers/],
  [['--config', 'novalue'], /^kafka: --config novalue: write it as NAME=VALUE\n$/],
] as const) {
  test(`${args.join(' ')} is refused in one line`, async () => {
    const { status, said } = await kafka([...args])
    assert.equal(status, 2)
    assert.match(said, expected)
  })
}

test('without Java it says what to install, or to set KAFKA_BROKERS', async () => {
  const { status, said } = await kafka(['--port', '0'], {
    PATH: join(tmpdir(), 'nothing-here'),
    JAVA_HOME: '',
  })
  assert.equal(status, 2)
  assert.match(said, /^kafka: no Java found .*install Java 17 or newer .*or set KAFKA_BROKERS\n$/)
})
