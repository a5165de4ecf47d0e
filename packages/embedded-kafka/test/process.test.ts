import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { fetch } from './support/calls.ts'
import { runCommand } from './support/command.ts'
import { RawClient } from './support/raw-client.ts'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const node = ['--conditions=x-source', main]

async function startProcess(...args: readonly string[]): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(process.execPath, [...node, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [output] = (await once(child.stdout, 'data')) as [Buffer]
  const port = /^ready 127\.0\.0\.1:(\d+)\n$/.exec(String(output))?.[1]
  if (port === undefined) child.kill('SIGKILL')
  assert.ok(port, `one line, ready and the address, not: ${String(output)}`)
  return { child, port: Number(port) }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`the broker process says when it is ready, has its topics, and ends on ${signal} with status 0`, async () => {
    const { child, port } = await startProcess('--port', '0', '--topic', 'one', '--topic', 'two:3')
    try {
      await using client = await RawClient.open(port)
      assert.equal((await fetch(client, { topic: 'two', partition: 2 })).partitions[0]?.error, 0)
      const ended = once(child, 'exit')
      child.kill(signal)
      assert.deepEqual(await ended, [0, null])
    } finally {
      child.kill('SIGKILL')
    }
  })
}

test('what cannot be done is one line that says what to do, and status 2', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo
  try {
    const cases: [string[], RegExp][] = [
      [['--port', String(port)], /is taken; .*another --port/],
      [['--prot', '1'], /Unknown option '--prot'; --help lists the options/],
      [['extra'], /Unexpected argument 'extra'.*--help/],
      [['--port', 'abc'], /--port abc is no port/],
      [['--port', '99999'], /port must be a whole number/],
      [['--advertised', 'a:b:c'], /--advertised a:b:c is no address; write HOST or HOST:PORT/],
      [['--advertised', 'host:0'], /--advertised host:0 is no address/],
      [['--port', '0', '--topic', 'a:b'], /"a:b" is written name or name:partitions/],
      [['--port', '0', '--topic', 'a/b'], /"a\/b" has characters/],
      [['--port', '0', '--host', '192.0.2.1'], /no address 192\.0\.2\.1/],
    ]
    for (const [args, message] of cases) {
      const { status, stdout, stderr } = await runCommand(process.execPath, [...node, ...args])
      assert.deepEqual([status, stdout], [2, ''], stderr)
      assert.match(stderr, message)
      assert.equal(stderr.trimEnd().split('\n').length, 1, stderr)
    }
  } finally {
    taken.close()
  }
})

test('--advertised is where clients are told to connect, whatever it listens at', async () => {
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const { port } = free.address() as AddressInfo
  free.close()
  await once(free, 'close')
  const told: [advertised: string, address: string][] = [
    ['broker.example:19092', 'broker.example:19092'],
    ['broker.example', `broker.example:${port}`],
    ['[::1]:19092', '[::1]:19092'],
  ]
  for (const [advertised, expected] of told) {
    const args = [...node, '--port', String(port), '--advertised', advertised]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const [output] = (await once(child.stdout, 'data')) as [Buffer]
      assert.equal(String(output), `ready ${expected}\n`)
      await using client = await RawClient.open(port)
      const metadata = await client.request({
        key: 3,
        version: 1,
        body: (writer) => writer.nullableArray([], () => {}),
      })
      const nodes = metadata.array((one) => {
        one.int32()
        const host = one.string()
        const address = `${host.includes(':') ? `[${host}]` : host}:${one.int32()}`
        one.nullableString()
        return address
      })
      assert.deepEqual(nodes, [expected])
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    } finally {
      child.kill('SIGKILL')
    }
  }
})
