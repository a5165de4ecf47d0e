import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Tally } from '../tally.ts'
import { runTestFiles } from '../test-run.ts'

test('files that take long begin first, the longest before all, and the others by name', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'milena-test-run-'))
  t.after(() => rm(root, { recursive: true }))
  for (const name of ['a', 'b', 'c', 'd'])
    await writeFile(join(root, `${name}.test.ts`), `import { test } from 'node:test'\ntest('it', () => {})\n`)
  const printed: string[] = []
  await runTestFiles({
    root,
    patterns: ['*.test.ts'],
    limits: { test: 20_000, file: 20_000, leak: 20_000 },
    env: {},
    concurrency: 1,
    longest: ['d.test', 'c.test'],
    tally: new Tally(),
    print: (line) => printed.push(line),
  })
  assert.deepEqual(
    printed.map((line) => /(\w)\.test\.ts: 1 passed/.exec(line)?.[1]),
    ['d', 'c', 'a', 'b'],
  )
})
