/** docs/own-routing.md has each test of the routing contract, and each group of the transport contract's. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { describeRoutingContract } from '../src/testing/routing-contract.ts'
import type { TestRunner } from '../src/testing/runner.ts'
import { describeTransportContract } from '../src/testing/transport-contract.ts'

const page = await readFile(new URL('../../../docs/own-routing.md', import.meta.url), 'utf8')

test('the table of what a routing must do has every test of its contract, by name', () => {
  const { tests } = told((runner) => describeRoutingContract('x', { runner, routing: never, connect: never }))
  assert.deepEqual(firstColumn('Test').toSorted(), tests.toSorted())
})

test('the table of the transport contract has every group of its tests', () => {
  const { groups } = told((runner) => describeTransportContract('x', { runner, open: never }))
  assert.deepEqual(firstColumn('Group of tests').toSorted(), groups.slice(1).toSorted())
})

function never(): never {
  assert.fail('nothing is run')
}

/** What a contract tells a runner, without running any of it. */
function told(tell: (runner: TestRunner) => void): { tests: string[]; groups: string[] } {
  const tests: string[] = []
  const groups: string[] = []
  tell({
    describe(name, body) {
      groups.push(name)
      body()
    },
    test: (name) => void tests.push(name),
    before() {},
    after() {},
    afterEach() {},
  })
  return { tests, groups }
}

function firstColumn(head: string): string[] {
  const table = page.slice(page.indexOf(`| ${head} |`)).split('\n\n')[0]!
  return table
    .split('\n')
    .slice(2)
    .map((row) => row.split('|')[1]!.trim())
}
