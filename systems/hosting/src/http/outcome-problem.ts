/** What a caller over HTTP is told of a request without a reply: the statuses of docs/first-service.md. */
import type { AnyMilenaError } from '@milena/request-reply'
import { ProblemError, unavailable } from './problem.ts'

export function outcomeProblem(error: AnyMilenaError): ProblemError {
  const { code, message: detail } = error
  const problem = (status: number, title: string): ProblemError =>
    new ProblemError(status, title, { code, detail })
  if (code === 'MILENA_REQUEST_INVALID') return problem(400, 'Invalid request')
  if (code === 'MILENA_REMOTE_ERROR') return problem(502, "The replier's error")
  if (error.sent === 'no')
    return error.retryable || code === 'MILENA_CLOSED' ? unavailable(detail, code) : problem(500, 'Not sent')
  if (code === 'MILENA_REPLY_INVALID' || code === 'MILENA_CODEC_FAILED')
    return problem(502, 'A reply that cannot be read')
  return problem(504, 'No reply: what was asked for may have been done')
}
