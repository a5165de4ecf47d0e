/** What callers were told is held against what is; and options are read. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StartError } from '@milena/hosting'
import { readOptions } from '../src/options.ts'
import { problemsOfAnswers } from '../src/run/findings.ts'
import { problemsOfCounts } from '../src/run/outcome.ts'
import type { ExchangeStatus } from '../src/schemas.ts'

const nobody: readonly string[] = []

function problems(
  told: { done?: readonly string[]; undone?: readonly string[]; unanswered?: readonly string[] },
  status?: ExchangeStatus,
): readonly string[] {
  const { done = nobody, undone = nobody, unanswered = nobody } = told
  const answers = { done: new Set(done), undone: new Set(undone), unanswered: new Set(unanswered) }
  return problemsOfAnswers(answers, new Map(status === undefined ? [] : [['x', status]]))
}

test('a caller who was told right is no problem', () => {
  assert.deepEqual(problems({ done: ['x'] }, 'COMPLETED'), [])
  for (const status of ['COMPENSATING', 'CANCELLED'] as const)
    assert.deepEqual(problems({ undone: ['x'] }, status), [])
})

test('one who was told something else than what is, or nothing, is one', () => {
  for (const status of ['RUNNING', 'COMPENSATING', 'CANCELLED', undefined] as const)
    assert.match(problems({ done: ['x'] }, status).join(), /x was told that it took place; it is/)
  for (const status of ['RUNNING', 'COMPLETED', undefined] as const)
    assert.match(problems({ undone: ['x'] }, status).join(), /x was told that it did not take place; it is/)
  assert.match(problems({ unanswered: ['x'] }, 'COMPLETED').join(), /never answered/)
})

test('an exchange that is half done, or that nobody asked for, is a problem', () => {
  const counted = { done: 2, undone: 1, compensated: 1, halfDone: 0, callRetries: 0, cancelRetries: 0 }
  assert.deepEqual(problemsOfCounts(3, counted), [])
  assert.match(problemsOfCounts(3, { ...counted, done: 1, halfDone: 1 }).join(), /1 exchanges are half done/)
  assert.match(problemsOfCounts(2, counted).join(), /3 exchanges are there, and 2 were asked for/)
})

test('options have defaults, and a name of its own for each run', () => {
  const [first, second] = [readOptions([]), readOptions([])]
  assert.ok(first !== 'help' && second !== 'help')
  assert.notEqual(first.prefix, second.prefix)
  assert.deepEqual([first.exchanges, first.rate, first.kills, first.down], [1_400, 40, 4, 20])
})

test('every option that cannot work is told', () => {
  assert.throws(
    () => readOptions(['--exchanges', '0', '--down', '9999', '--prefix', 'A B']),
    (error) =>
      error instanceof StartError &&
      ['--exchanges', '--down', '--prefix', '--help'].every((name) => error.message.includes(name)),
  )
})
