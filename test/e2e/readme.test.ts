import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { openTestCluster, type TestCluster } from '../support/cluster.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

let cluster: TestCluster
before(async () => {
  cluster = await openTestCluster()
  for (const topic of ['request-topic', 'reply-topic']) cluster.own(topic)
})
after(() => cluster.close())

test('the README’s first code runs as it stands, prints what it says, and ends', async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  const code = /```ts\n([^]*?)```/.exec(readme)?.[1]
  assert.ok(code !== undefined && code.includes("['127.0.0.1:9092']"), 'the README has no first code')
  const here = code.replace("['127.0.0.1:9092']", JSON.stringify(cluster.brokers))
  const args = ['--conditions=x-source', '--input-type=module-typescript', '--eval', here]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 60_000 })
  assert.equal(stdout, 'say : hello\n')
  assert.equal(stderr, '')
})
