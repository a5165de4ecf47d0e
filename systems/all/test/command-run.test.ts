import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { CommandRun } from '../src/command-run.ts'
import { readOptions, type SystemsOptions } from '../src/options.ts'
import { summary } from '../src/summary.ts'
import { systems, type System } from '../src/systems.ts'

const root = new URL('../../../', import.meta.url)
const endless: System = {
  name: 'endless',
  script: 'npm run endless',
  entry: 'systems/hosting/test/endless-command.ts',
  args: [],
  short: [],
}

test('a system that prints nothing for too long is ended, and that is why it has failed', async () => {
  const run = new CommandRun(endless, () => {}, { silence: 1_500, output: 1_000 })
  const { failure } = await run.run()
  assert.equal(failure, 'printed nothing for 1.5 s')
})

test('a system that is not there has failed, and its place is named', async () => {
  const { failure } = await new CommandRun({ ...endless, entry: 'systems/none.ts' }, () => {}).run()
  assert.equal(failure, 'there is no systems/none.ts')
})

test('the summary has what each system showed, and what went wrong', () => {
  const shown = /^point: (.+)$/m
  const text = summary([
    {
      system: { ...endless, name: 'one', shown },
      took: 1_400,
      output: 'point: all is well\nbye\n',
      failure: undefined,
    },
    { system: { ...endless, name: 'two' }, took: 61_000, output: 'broken\n', failure: 'status 1' },
  ])
  assert.equal(
    text,
    `system  command          took  status  what it showed
one     npm run endless   1 s  ok      all is well
two     npm run endless  61 s  FAILED  status 1: broken`,
  )
})

test('--short adds each system’s smaller load, --only keeps the systems’ own order', () => {
  const { chosen } = readOptions(['--short', '--only', 'exchange, payments']) as SystemsOptions
  assert.deepEqual(
    chosen.map(({ name }) => name),
    ['payments', 'exchange'],
  )
  assert.deepEqual(chosen[0]!.args, ['--exit', '--port', '0', '--rate', '40', '--seconds', '2'])
})

test('--prefix goes to every system, with its name', () => {
  const { chosen } = readOptions(['--prefix', 'mine-', '--only', 'hello,exchange']) as SystemsOptions
  assert.deepEqual(
    chosen.map(({ args }) => args),
    [
      ['--exit', '--prefix', 'mine-hello-'],
      ['--prefix', 'mine-exchange-'],
    ],
  )
})

test('the scripts that it names are the package’s, with the same files', async () => {
  const { default: manifest } = (await import('../../../package.json', { with: { type: 'json' } })) as {
    default: { scripts: Record<string, string> }
  }
  for (const { script, entry } of systems) {
    const line = manifest.scripts[script.replace(/^npm (run )?/, '')]
    assert.equal(line, `node --conditions=x-source ${entry}`)
    assert.ok(existsSync(new URL(entry, root)) || /delivery|coupon/.test(entry), `${entry} is not there`)
  }
})
