/** Errors over HTTP as `application/problem+json` (RFC 9457), each with a `code` that programs can tell apart. */
import type { FastifyReply } from 'fastify'
import { z } from 'zod'

export const problemSchema = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.string(),
  detail: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
})
/** A problem in a route's list of responses. */
export function problem(description: string): typeof problemSchema {
  return problemSchema.describe(description)
}

export interface Problem {
  /** Default: made of the code. */
  readonly type?: string
  readonly title: string
  readonly status: number
  /** Default: the status's own. */
  readonly code?: string | undefined
  readonly detail?: string | undefined
  readonly errors?: readonly { readonly path: string; readonly message: string }[]
  readonly [more: string]: unknown
}

const codes: Readonly<Record<number, string>> = {
  400: 'INVALID_REQUEST',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  408: 'REQUEST_TIMEOUT',
  409: 'CONFLICT',
  413: 'BODY_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  422: 'UNPROCESSABLE',
  431: 'HEADERS_TOO_LARGE',
  500: 'INTERNAL_ERROR',
  503: 'NOT_NOW',
}

/** The problem as it goes out. */
export function completed(problem: Problem): z.infer<typeof problemSchema> {
  const code = problem.code ?? codes[problem.status] ?? `HTTP_${problem.status}`
  const type = problem.type ?? `urn:milena:problem:${code.toLowerCase().replaceAll('_', '-')}`
  return { ...problem, type, code } as z.infer<typeof problemSchema>
}

/** Thrown in a route to answer with a problem. */
export class ProblemError extends Error {
  readonly problem: Problem
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: number,
    title: string,
    more: Partial<Problem> = {},
    headers: Record<string, string> = {},
  ) {
    super(title)
    this.problem = { title, ...more, status }
    this.headers = headers
  }
}

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  return reply
    .code(problem.status)
    .type('application/problem+json')
    .serializer((body: unknown) => JSON.stringify(body))
    .send(completed(problem))
}

/** The answer to a request that may be sent again in a second. */
export function unavailable(detail: string, code?: string): ProblemError {
  return new ProblemError(503, 'Not now', { detail, code }, { 'retry-after': '1' })
}
