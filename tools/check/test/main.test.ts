import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const command = fileURLToPath(new URL('../main.ts', import.meta.url))

async function npmTest(args: string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, ['--conditions=x-source', command, ...args], {
    env: { ...process.env, CI: '', ...env },
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [printed, said, status] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { status, said, closing: printed.trimEnd().split('\n').at(-1), printed }
}

const withoutJava = { PATH: '/nothing-here', JAVA_HOME: '' }

test('where Java is missing, what needs Apache Kafka is skipped and says why', async () => {
  const { status, closing, printed } = await npmTest(['faults'], withoutJava)
  assert.equal(closing, '0 passed, 0 failed, 1 skipped')
  assert.match(printed, /skipped: faults: no Java found .*: install Java/)
  assert.equal(status, 0)
})

test('in CI it is a failure', async () => {
  const { status, closing } = await npmTest(['faults'], { ...withoutJava, CI: 'true' })
  assert.equal(closing, '0 passed, 1 failed, 0 skipped')
  assert.equal(status, 1)
})

test('a step that does not exist is one line and status 2', async () => {
  const { status, said, printed } = await npmTest(['units'])
  assert.equal(status, 2)
  assert.match(said, /^npm test: there is no step "units": choose from .*\n$/)
  assert.equal(printed, '')
})

test('a filter that no test matches is a failure', async () => {
  const { status, closing } = await npmTest(['simulation', '--files', 'no-such-file'])
  assert.equal(closing, '0 passed, 1 failed, 0 skipped')
  assert.equal(status, 1)
})
