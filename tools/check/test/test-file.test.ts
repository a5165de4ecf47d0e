import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { runTestFile } from '../test-file.ts'
import type { TestFileResult, TestLimits } from '../test-file.ts'

const generous: TestLimits = { test: 20_000, file: 20_000, leak: 20_000 }

async function run(
  t: TestContext,
  body: string,
  limits: Partial<TestLimits> = {},
  grep?: string,
): Promise<TestFileResult> {
  const root = await mkdtemp(join(tmpdir(), 'milena-test-file-'))
  t.after(() => rm(root, { recursive: true }))
  const file = join(root, 'a.test.ts')
  await writeFile(file, `import { after, before, describe, test } from 'node:test'\n${body}`)
  return runTestFile(file, { root, limits: { ...generous, ...limits }, env: {}, grep })
}

const names = (result: TestFileResult): string[] => result.failures.map((failure) => failure.name)

test('passed tests are counted, those in a suite too and the suite not', async (t) => {
  const result = await run(t, `test('a', () => {}); describe('s', () => { test('b', () => {}) })`)
  assert.deepEqual([result.passed, result.failures, result.skips], [2, [], []])
})

test('a failure comes with its path, its error in full and the output of the file', async (t) => {
  const result = await run(
    t,
    `describe('s', () => { test('b', () => { console.log('seen'); throw new Error('oh', { cause: new Error('no') }) }) })`,
  )
  assert.deepEqual(names(result), ['s › b'])
  assert.match(result.failures[0]?.detail ?? '', /Error: oh[^]*cause[^]*Error: no/)
  assert.match(result.output, /seen/)
})

test('a failing subtest is one failure, not one for each of its parents', async (t) => {
  const result = await run(t, `test('a', async (t) => { await t.test('b', () => { throw new Error('x') }) })`)
  assert.deepEqual(names(result), ['a › b'])
})

test('a skip is listed with its reason, and one without a reason is a failure', async (t) => {
  const result = await run(
    t,
    `test('a', { skip: 'no Redis here' }, () => {}); test.skip('b', () => {}); test('c', (t) => t.skip()); describe.skip('d', () => {})`,
  )
  assert.deepEqual(result.skips, [{ name: 'a', reason: 'no Redis here' }])
  assert.deepEqual(names(result), ['b', 'c', 'd'])
})

test('a hook that fails is a failure', async (t) => {
  const result = await run(t, `before(() => { throw new Error('hook') }); test('a', () => {})`)
  assert.ok(result.failures.length > 0)
})

test('a file without tests, and one that breaks before them, are failures', async (t) => {
  assert.deepEqual(names(await run(t, '')), ['the file as a whole'])
  const broken = await run(t, `throw new Error('broken')`)
  assert.deepEqual(names(broken), ['the process'])
  assert.match(broken.output, /broken/)
})

test('an error after the end of a test is a failure', async (t) => {
  const result = await run(t, `test('a', () => { setTimeout(() => { throw new Error('late') }, 20) })`)
  assert.deepEqual(names(result), ['after the end of a test'])
  assert.match(result.failures[0]?.detail ?? '', /late/)
})

test('a test that hangs is ended after its limit', async (t) => {
  const result = await run(
    t,
    `test('a', async () => { await new Promise(() => setTimeout(() => {}, 400)) })`,
    {
      test: 100,
    },
  )
  assert.deepEqual(names(result), ['a'])
  assert.match(result.failures[0]?.detail ?? '', /timed out after 100ms/)
})

test('a process that something keeps alive is a failure that names it', async (t) => {
  const body = `import { createServer } from 'node:net'\ncreateServer().listen(0, '127.0.0.1')\ntest('a', () => {})`
  const result = await run(t, body, { leak: 100 })
  assert.deepEqual(names(result), ['the end of the process'])
  assert.match(
    result.failures[0]?.detail ?? '',
    /something keeps the process alive; still open: .*TCPServerWrap/,
  )
})

test('what closes in an after hook is no leak', async (t) => {
  const result = await run(
    t,
    `import { createServer } from 'node:net'\nconst server = createServer().listen(0, '127.0.0.1')\nafter(() => server.close())\ntest('a', () => {})`,
    { leak: 5_000 },
  )
  assert.deepEqual([result.passed, result.failures], [1, []])
})

test('a process that a file leaves behind is a failure that names it, and is ended', async (t) => {
  const body = `import { spawn } from 'node:child_process'
    test('a', () => { spawn('sleep', ['300.25'], { stdio: 'ignore' }).unref() })`
  const result = await run(t, body)
  assert.deepEqual(names(result), ['the end of the process'])
  assert.match(result.failures[0]?.detail ?? '', /a process that it started goes on: sleep 300\.25/)
})

const opensServer = `
  import { createServer } from 'node:net'
  let server
  before(async () => {
    await new Promise((resolve) => setTimeout(resolve, 100))
    server = createServer().listen(0, '127.0.0.1')
  })
  after(() => server.close())
  test('a', () => {})`

test('of a file with hooks of its own, a filter that no test matches runs nothing and waits for nothing', async (t) => {
  const result = await run(t, opensServer, {}, 'no such test')
  assert.deepEqual([result.passed, result.failures], [0, []])
})

test('of such a file, a filter runs what it matches', async (t) => {
  const result = await run(t, `${opensServer}; test('b', () => {})`, {}, 'b')
  assert.deepEqual([result.passed, result.failures], [1, []])
})

test('a file that breaks before its tests is a failure, filter or not', async (t) => {
  assert.equal((await run(t, `throw new Error('broken')`, {}, 'a')).failures.length, 1)
})
