/** What services have in common as HTTP services: schemas, problems, OpenAPI. */
import swagger from '@fastify/swagger'
import { fastify, type FastifyBaseLogger, type FastifyInstance, type RawServerDefault } from 'fastify'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod'
import { messageOf, StartError } from '../process/start-error.ts'
import { knownMethods } from './known-methods.ts'
import { ProblemError, sendProblem } from './problem.ts'

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
}

/** `close`: whether closing cuts every connection, or lets those finish on which an answer is on its way. */
export async function createApp(
  title: string,
  close: 'cut' | 'finish',
  { bodyLimit = 64 * 1024 }: AppOptions = {},
): Promise<App> {
  const app = fastify({
    bodyLimit,
    forceCloseConnections: close === 'cut' ? true : 'idle',
  }).withTypeProvider<ZodTypeProvider>()
  const methodsOf = knownMethods(app)
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  await app.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title, version: '1' } },
    transform: jsonSchemaTransform,
  })
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())

  app.setNotFoundHandler((request, reply) => {
    const allowed = methodsOf(request.url.split('?')[0]!)
    if (allowed.length > 0) void reply.header('allow', allowed.join(', '))
    return sendProblem(reply, {
      type: 'about:blank',
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
        type: 'about:blank',
        title: 'Invalid request',
        status: 400,
        detail,
        errors,
      })
    }
    // Fastify's own: a body that is no JSON, too large, or of another type.
    const { statusCode } = error as { statusCode?: unknown }
    if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
      return sendProblem(reply, { type: 'about:blank', title: messageOf(error), status: statusCode })
    }
    console.error(`${title}:`, error)
    return sendProblem(reply, { type: 'about:blank', title: 'Internal error', status: 500 })
  })
  return app
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
