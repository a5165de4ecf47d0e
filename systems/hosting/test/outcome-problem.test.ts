/** The statuses of requests without a reply, as docs/first-service.md has them. */
import { outcomeProblem } from '@milena/hosting'
import { isMilenaError, MilenaError, type ErrorCode } from '@milena/request-reply'
import assert from 'node:assert/strict'
import { test } from 'node:test'

for (const [code, status] of [
  ['MILENA_REQUEST_INVALID', 400],
  ['MILENA_REMOTE_ERROR', 502],
  ['MILENA_REPLY_INVALID', 502],
  ['MILENA_OVERLOADED', 503],
  ['MILENA_NOT_SENT', 503],
  ['MILENA_CLOSED', 503],
  ['MILENA_OPTIONS_INVALID', 500],
  // Sent, and without an answer: coming again may do it twice.
  ['MILENA_TIMEOUT', 504],
  ['MILENA_ABANDONED', 504],
] as const satisfies readonly (readonly [ErrorCode, number])[]) {
  test(`${code} is ${status}`, () => {
    const error: unknown = new MilenaError(code, 'why')
    assert.ok(isMilenaError(error))
    const { problem, headers } = outcomeProblem(error)
    assert.deepEqual([problem.status, problem.code, problem.detail], [status, code, 'why'])
    assert.equal(headers['retry-after'], status === 503 ? '1' : undefined)
  })
}
