/** Errors over HTTP as `application/problem+json` (RFC 9457). */
import type { FastifyReply } from 'fastify'
import { z } from 'zod'

export const problemSchema = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
})
/** A problem in a route's list of responses. */
export function problem(description: string): typeof problemSchema {
  return problemSchema.describe(description)
}

export type Problem = z.infer<typeof problemSchema>

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
    this.problem = { type: 'about:blank', title, ...more, status }
    this.headers = headers
  }
}

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  return reply
    .code(problem.status)
    .type('application/problem+json')
    .serializer((body: unknown) => JSON.stringify(body))
    .send(problem)
}

/** The answer to a request that may be sent again in a second. */
export function unavailable(detail: string): ProblemError {
  return new ProblemError(503, 'Not now', { detail }, { 'retry-after': '1' })
}
