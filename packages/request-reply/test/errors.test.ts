import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import {
  errorCodes,
  MilenaError,
  remoteCodes,
  ReplyError,
  ValidationError,
  type ErrorCode,
} from '../src/errors.ts'

const page = await readFile(new URL('../../../docs/errors.md', import.meta.url), 'utf8')

/** The rows of the table below a heading: the cells, without their marks. */
function tableBelow(heading: string): string[][] {
  const section = page.split(/^## /m).find((part) => part.startsWith(heading))
  assert.ok(section, `docs/errors.md has no section "${heading}"`)
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  return rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  )
}

test('docs/errors.md lists every code, with what is true of it', () => {
  const written = tableBelow('What a call can end with').map((cells) => cells.slice(0, 4))
  const coded = Object.entries(errorCodes).map(([code, facts]) => [
    code,
    facts.sent,
    facts.outcomeKnown ? 'yes' : 'no',
    facts.retryable ? 'yes' : 'no',
  ])
  assert.deepEqual(written, coded)
})

test('docs/errors.md lists every code that a replier itself answers with', () => {
  assert.deepEqual(
    tableBelow('What a replier answers with').map(([code]) => code),
    Object.values(remoteCodes),
  )
})

test('an error says what its code says, unless it knows better', () => {
  for (const code of Object.keys(errorCodes) as ErrorCode[]) {
    const { sent, outcomeKnown, retryable } = new MilenaError(code, 'm')
    assert.deepEqual({ sent, outcomeKnown, retryable }, errorCodes[code])
  }
  const better = new MilenaError('MILENA_CANCELLED', 'm', { sent: 'no', outcomeKnown: true, cause: 'c' })
  assert.deepEqual(
    [better.sent, better.outcomeKnown, better.retryable, better.cause],
    ['no', true, false, 'c'],
  )
})

test('nothing whose outcome is unknown, or that was sent, claims that a retry is safe', () => {
  for (const [code, { sent, outcomeKnown, retryable }] of Object.entries(errorCodes)) {
    if (retryable) assert.ok(sent === 'no' && outcomeKnown, code)
    if (sent === 'no') assert.ok(outcomeKnown, code)
  }
})

test('each error has the name of its class', () => {
  assert.equal(new MilenaError('MILENA_CLOSED', 'm').name, 'MilenaError')
  assert.equal(new ValidationError('MILENA_REQUEST_INVALID', 'o', []).name, 'ValidationError')
  assert.equal(new ReplyError('C', 'm').name, 'ReplyError')
})
