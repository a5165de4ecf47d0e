/** `examples/`: each runs as it stands, as a process of its own, and prints what its last lines promise. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { openTestCluster, type TestCluster } from '../support/cluster.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const names = globSync('examples/*.ts', { cwd: root })
  .map((file) => basename(file, '.ts'))
  .toSorted()

let cluster: TestCluster
before(async () => {
  cluster = await openTestCluster()
})
after(() => cluster.close())

describe('an example prints what it promises, and ends', { concurrency: 2 }, () => {
  for (const name of names) {
    test(name, async () => {
      const text = readFileSync(`${root}/examples/${name}.ts`, 'utf8')
      for (const topic of topicsOf(name, text)) cluster.own(topic)
      const args = ['--conditions=x-source', `examples/${name}.ts`]
      // The embedded one is the example's own: that it can start it is a part of what it shows.
      const brokers = cluster.kind === 'kafka' ? cluster.brokers.join(',') : ''
      const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
        cwd: root,
        env: { ...process.env, KAFKA_BROKERS: brokers },
        timeout: 180_000,
      })
      assert.equal(stderr, '')
      assert.match(stdout, promised(name, text), `examples/${name}.ts printed\n${stdout}`)
    })
  }
})

for (const [file, tests] of [
  ['node.test.ts', 2],
  ['own-routing.test.ts', 20],
])
  test(`examples/testing/${file} passes as it stands`, async () => {
    const env = { ...process.env }
    delete env['NODE_TEST_CONTEXT']
    const args = ['--conditions=x-source', '--test', `examples/testing/${file}`]
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, env, timeout: 180_000 })
    assert.match(stdout, new RegExp(String.raw`pass ${tests}\b`))
  })

test('the table in examples/README.md has every example', () => {
  const readme = readFileSync(`${root}/examples/README.md`, 'utf8')
  const rows = [...readme.matchAll(/^\| \[(.+?)\.ts\]\((.+?)\.ts\) /gm)].map(([, shown, link]) => {
    assert.equal(shown, link)
    return shown
  })
  assert.deepEqual(new Set(rows), new Set(names))
})

/** Topics and groups of an example begin with its name, so that they meet nobody else's on the same brokers. */
function topicsOf(name: string, text: string): string[] {
  const named = [...text.matchAll(/\b(?:topic|groupId): '([^']+)'/g)].map(([, topic]) => topic!)
  assert.ok(named.length > 0, `examples/${name}.ts names no topic`)
  for (const topic of named)
    assert.ok(topic.startsWith(`${name}-`), `call ${topic} in examples/${name}.ts ${name}-…`)
  return named
}

/** The comment at its end: `// Prints:` and the lines, in which `…` stands for what differs from run to run. */
function promised(name: string, text: string): RegExp {
  const comment = /\n\/\/ Prints:\n((?:\/\/ ?.*\n)+)$/.exec(text)?.[1]
  assert.ok(comment !== undefined, `examples/${name}.ts does not end with "// Prints:" and what it prints`)
  const lines = comment.trimEnd().split('\n')
  const patterns = lines.map((line) =>
    line
      .replace(/^\/\/ ?/, '')
      .split('…')
      .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`))
      .join('.+'),
  )
  return new RegExp(`^${patterns.join('\n')}\n$`)
}
