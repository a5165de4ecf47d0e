/** What services have in common as HTTP services: schemas, problems, OpenAPI. */
import swagger from '@fastify/swagger'
import { fastify, type FastifyBaseLogger, type FastifyInstance, type RawServerDefault } from 'fastify'
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod'
import { z } from 'zod'
import { messageOf, StartError } from '../process/start-error.ts'
import { knownMethods } from './known-methods.ts'
import { isAway } from '../database/away.ts'
import { completed, ProblemError, problemSchema, sendProblem, unavailable } from './problem.ts'

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>

export interface AppOptions {
  /** Bytes that a request's body may have; default 64 KiB. */
  readonly bodyLimit?: number
  /**
   * Milliseconds in which a request, head and body, must have come in whole; else it is answered with 408 and its
   * connection is closed. Default 10 000.
   */
  readonly requestTimeout?: number
}

/** Milliseconds between looks for requests that take too long. */
const lookInterval = 500

/** `close`: whether closing cuts every connection, or lets those finish on which an answer is on its way. */
export async function createApp(
  title: string,
  close: 'cut' | 'finish',
  { bodyLimit = 64 * 1024, requestTimeout = 10_000 }: AppOptions = {},
): Promise<App> {
  const app = fastify({
    requestTimeout,
    http: { headersTimeout: requestTimeout, connectionsCheckingInterval: lookInterval },
    clientErrorHandler: refuseUnread,
    // A path that cannot be decoded, or whose part is too long to be any id.
    frameworkErrors: ({ message }, _request, reply) =>
      void sendProblem(reply, { title: 'Invalid request', status: 400, detail: message }),
    bodyLimit,
    forceCloseConnections: close === 'cut' ? true : 'idle',
  }).withTypeProvider<ZodTypeProvider>()
  // Bodies are JSON as it is sent: plain text Fastify would take too, and what is compressed or in another charset for JSON.
  app.removeContentTypeParser('text/plain')
  app.addHook('preParsing', async ({ headers }) => refuseEncoded(headers))
  const methodsOf = knownMethods(app)
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  await app.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title, version: '1' }, servers: [{ url: '/' }] },
    transform: jsonSchemaTransform,
  })
  app.get('/openapi.json', { schema: { hide: true } }, () => withProblems(app.swagger()))

  app.setNotFoundHandler((request, reply) => {
    const allowed = methodsOf(request.url.split('?')[0]!)
    if (allowed.length > 0) void reply.header('allow', allowed.join(', '))
    return sendProblem(reply, {
      ...(allowed.length > 0
        ? { title: 'Method not allowed', status: 405 }
        : { title: 'Not found', status: 404 }),
      detail: `there is no ${request.method} ${request.url}; /openapi.json lists what there is`,
    })
  })
  app.setErrorHandler((error: unknown, _request, reply) => {
    if (error instanceof ProblemError) {
      void reply.headers(error.headers)
      return sendProblem(reply, error.problem)
    }
    if (hasZodFastifySchemaValidationErrors(error)) {
      const errors = error.validation.map((issue) => ({
        path: issue.instancePath.slice(1).replaceAll('/', '.'),
        message: issue.message ?? 'is invalid',
      }))
      const detail = errors
        .map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
        .join('; ')
      return sendProblem(reply, {
        title: 'Invalid request',
        status: 400,
        detail,
        errors,
      })
    }
    // Fastify's own: a body that is no JSON, too large, or of another type.
    const { statusCode } = error as { statusCode?: unknown }
    if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
      return sendProblem(reply, { title: messageOf(error), status: statusCode })
    }
    console.error(`${title}:`, error)
    if (isAway(error)) {
      const { headers, problem } = unavailable(
        'a store is away; whether the request was carried out is not known: send it again, with the same ids',
      )
      void reply.headers(headers)
      return sendProblem(reply, problem)
    }
    return sendProblem(reply, { title: 'Internal error', status: 500 })
  })
  return app
}

/**
 * The description with every error as what it is sent as; the plugin takes everything for plain JSON. What any route can
 * answer with, such as 405, 408 or 500, is the `default`.
 */
function withProblems(description: object): object {
  const { paths = {} } = description as { paths?: Record<string, Record<string, Operation>> }
  for (const operation of Object.values(paths).flatMap((path) => Object.values(path))) {
    const { responses = {} } = operation
    for (const [status, response] of Object.entries(responses)) {
      const schema = response.content?.['application/json']
      if (Number(status) >= 400 && schema !== undefined) {
        response.content = { 'application/problem+json': schema }
      }
    }
    operation.responses = { ...responses, default: anyProblem }
  }
  return description
}

const anyProblem = {
  description: 'any other error',
  content: { 'application/problem+json': { schema: z.toJSONSchema(problemSchema, { io: 'input' }) } },
}

interface Operation {
  responses?: Record<string, { description: string; content?: Record<string, unknown> }>
}

/** Bodies are UTF-8, and as they stand (RFC 9110, 8.3.2 and 8.4). */
function refuseEncoded(headers: IncomingMessage['headers']): void {
  if (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0) return
  const coding = headers['content-encoding'] ?? ''
  if (!/^(?:identity)?$/i.test(coding))
    throw refused(`content-encoding: ${coding} is not taken; send the body as it is`, {
      'accept-encoding': 'identity',
    })
  const charset = /;\s*charset\s*=\s*"?([^\s;"]*)/i.exec(headers['content-type'] ?? '')?.[1]
  if (charset !== undefined && !/^utf-?8$/i.test(charset))
    throw refused(`charset=${charset} is not taken; JSON is UTF-8`)
}

function refused(detail: string, headers?: Record<string, string>): ProblemError {
  return new ProblemError(415, 'Unsupported media type', { detail }, headers)
}

/** A request that was never read to its end: too slow, no HTTP, or with headers too large. */
function refuseUnread(error: Error & { code?: string }, socket: Socket): void {
  if (socket.destroyed || error.code === 'ECONNRESET') return void socket.destroy()
  const status =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
  const title = STATUS_CODES[status]!
  const body = JSON.stringify(completed({ status, title, detail: messageOf(error) }))
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${status} ${title}\r\nconnection: close\r\ncontent-type: application/problem+json\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    )
  }
  // The other side may never close its own half.
  socket.destroySoon()
}

/** Listens on 127.0.0.1; port 0 takes any that is free. Returns the port. */
export async function listen(app: App, port: number): Promise<number> {
  try {
    await app.listen({ host: '127.0.0.1', port })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    throw new StartError(`port ${port} is taken: end what uses it, or choose another with --port`)
  }
  return (app.server.address() as { port: number }).port
}
