import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readRunOptions, UsageError } from '../run-options.ts'

const steps = ['format', 'unit', 'e2e']

test('steps, --grep and --files are read', () => {
  const options = readRunOptions(
    ['unit', 'e2e', '--grep', 'late', '--files', 'wire', '--files', 'log'],
    steps,
  )
  assert.deepEqual(options, { steps: ['unit', 'e2e'], grep: 'late', files: ['wire', 'log'], help: false })
})

test('without anything, everything is run', () => {
  assert.deepEqual(readRunOptions([], steps).steps, [])
})

for (const [args, said] of [
  [['units'], /there is no step "units": choose from format, unit, e2e/],
  [['--grep', '('], /--grep \( is not a regular expression/],
  [['--slow'], /^Unknown option '--slow'; --help lists the options$/],
  [['--grep'], /^Option '--grep <value>' argument missing; --help lists the options$/],
] as const) {
  test(`${args.join(' ')} is refused in one line`, () => {
    assert.throws(
      () => readRunOptions(args, steps),
      (error: Error) =>
        error instanceof UsageError && said.test(error.message) && !error.message.includes('\n'),
    )
  })
}
