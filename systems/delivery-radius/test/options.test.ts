/** The command line of `npm run delivery`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StartError } from '@milena/hosting'
import { help, readOptions } from '../src/options.ts'

test('every problem is told at once', () => {
  assert.throws(
    () => readOptions(['--shops', '0', '--rate', 'x', '--each', '500', '--hot', '400']),
    (error: unknown) =>
      error instanceof StartError &&
      ['--shops must be', '--rate must be', '--each 500 is more than the --hot 400'].every((part) =>
        error.message.includes(part),
      ),
  )
})

test('what cannot be is refused: nothing to do, kills of nobody, fewer connections than services', () => {
  for (const args of ['--storm 0 --triggers 0', '--triggers 0 --kills 1', '--connections 2', '--hot 200000'])
    assert.throws(() => readOptions(args.split(' ')), StartError, args)
})

test('an option that there is not is refused; help lists those that there are', () => {
  assert.throws(() => readOptions(['--fast']), /--help lists the options/)
  assert.equal(readOptions(['--help']), 'help')
  const options = readOptions([])
  for (const name of Object.keys(options)) assert.match(help, new RegExp(`--${name}\\b`))
})
