/** Runs the code of a page of the documentation as it stands. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { uniqueName, type TestCluster } from './cluster.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface PageCode {
  /** The page, from the root of the repository. */
  readonly page: string
  /** Which of its `ts` blocks, from 0. */
  readonly block: number
  /** The topics that it names, with those that go with them in `derived`; each gets a name of its own. */
  readonly topics: readonly string[]
  /** Names that follow from a topic's. */
  readonly derived?: readonly string[]
}

/** Runs it; fails when it prints something else than the page says, or to standard error, or does not end. */
export async function runPage(
  cluster: TestCluster,
  { page, block, topics, derived = [] }: PageCode,
): Promise<void> {
  const text = await readFile(`${root}/${page}`, 'utf8')
  const found = [...text.matchAll(/```ts\n([^]*?)```/g)][block]
  const code = found?.[1]
  assert.ok(code !== undefined && code.includes("['127.0.0.1:9092']"), `${page} has no code number ${block}`)
  let here = code.replace("['127.0.0.1:9092']", JSON.stringify(cluster.brokers))
  // Before what ends in `_request` or `_reply`: that part says where a reply may go.
  const suffix = uniqueName('').replaceAll(/[^A-Za-z0-9]/g, '')
  const names = topics.map((topic) => [topic, topic.replace('_', `${suffix}_`)] as const)
  for (const [topic, own] of names) {
    assert.ok(here.includes(`'${topic}'`), `the code does not name ${topic}`)
    here = here.replaceAll(`'${topic}'`, `'${own}'`)
    cluster.own(own)
    for (const one of derived) if (one.startsWith(topic)) cluster.own(one.replace(topic, own))
  }
  here = here.replace(/groupId: '([^']+)'/, `groupId: '$1${suffix}'`)
  const args = ['--conditions=x-source', '--input-type=module-typescript', '--eval', here]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
    cwd: root,
    timeout: 180_000,
  })
  assert.equal(stderr, '')
  const behind = text.slice(found!.index + found![0].length)
  assert.equal(stdout.replaceAll(suffix, ''), saidOf(code, behind), `what ${page} says that it prints`)
}

/**
 * What a page says that its code prints: behind it, in "It prints …"; or in it, at the end of the lines that print, or in
 * the lines at its end.
 */
export function saidOf(code: string, behind: string): string {
  const block = /^\n\nIt prints:\n\n```\n([^]*?)```/.exec(behind)?.[1]
  if (block !== undefined) return block
  const sentence = /^\n\nIt prints (`[^`]+`(?:(?:, | and )`[^`]+`)*)\./.exec(behind)?.[1]
  const own = /\n((?:\/\/ .+\n)+)$/.exec(code)?.[1]
  const said =
    sentence?.matchAll(/`([^`]+)`/g) ??
    own?.matchAll(/^\/\/ (.+)$/gm) ??
    code.matchAll(/^console\.log\(.*\) \/\/ (.+)$/gm)
  const lines = [...said].map(([, line]) => `${line}\n`)
  assert.ok(lines.length > 0, 'the page does not say what its code prints')
  return lines.join('')
}
