import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readOptions, usage, UsageError } from '../src/options.ts'
import { situations } from '../src/situations/index.ts'
import { systems } from '../src/systems/index.ts'

test('what is wrong with an option is told in one line', () => {
  for (const args of [
    ['--fast'],
    ['more'],
    ['--rounds', '0'],
    ['--rounds', '1.5'],
    ['--rounds', '-1'],
    ['--repeats', '0.5'],
    ['--on='],
    ['--only='],
    ['--seconds', 'two'],
    ['--seconds', ''],
    ['--on', 'kafka-2'],
    ['--only', 'closed,nothing'],
    ['--systems', 'pigeon'],
  ]) {
    assert.throws(
      () => readOptions(args, undefined),
      (error) => error instanceof UsageError && !error.message.includes('\n') && error.message.length > 10,
      args.join(' '),
    )
  }
})

test('brokers that are given win over kinds', () => {
  assert.deepEqual(readOptions(['--on', 'kafka-3'], 'localhost:9092').on, ['localhost:9092'])
  assert.deepEqual(readOptions(['--on', 'embedded,kafka-1'], undefined).on, ['embedded', 'kafka-1'])
})

test('a system can be named in full, though names have commas', () => {
  const { systems: chosen } = readOptions(['--systems', 'Milena replyPartition, bytes,NATS'], undefined)
  assert.deepEqual(chosen, ['Milena replyPartition, bytes', 'NATS'])
})

test('a quick run is a trial of the ladder alone', () => {
  const options = readOptions(['--quick'], undefined)
  assert.equal(options.trial, true)
  assert.deepEqual([...options.parts], ['closed', 'open'])
})

test('the open loop takes the closed one with it, which finds its rates', () => {
  assert.ok(readOptions(['--only', 'open'], undefined).parts.has('closed'))
})

test('help names every system and situation, each by a name of its own', () => {
  const names = [...systems, ...situations].map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
  for (const name of names) assert.ok(usage.includes(name), name)
})
