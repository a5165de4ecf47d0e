import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { openTestCluster, uniqueName, type TestCluster } from '../support/cluster.ts'
import { saidOf } from '../support/run-page.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

let cluster: TestCluster
before(async () => {
  cluster = await openTestCluster()
})
after(() => cluster.close())

test('the README’s first code runs as it stands, prints what it says, and ends', async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  const code = /```ts\n([^]*?)```/.exec(readme)?.[1]
  assert.ok(code !== undefined && code.includes("['127.0.0.1:9092']"), 'the README has no first code')
  let here = code.replace("['127.0.0.1:9092']", JSON.stringify(cluster.brokers))
  // Names of its own: another test uses these too, on the same brokers.
  for (const name of ['request-topic', 'reply-topic', 'reply-group']) {
    assert.ok(here.includes(`'${name}'`), `the README's first code does not name ${name}`)
    const own = uniqueName(name)
    if (name !== 'reply-group') cluster.own(own)
    here = here.replaceAll(`'${name}'`, `'${own}'`)
  }
  const args = ['--conditions=x-source', '--input-type=module-typescript', '--eval', here]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
    cwd: root,
    timeout: 180_000,
  })
  assert.equal(stdout, saidOf(code, ''))
  assert.equal(stderr, '')
})
