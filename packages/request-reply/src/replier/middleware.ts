import type { HandlerContext } from './context.ts'

/** A handler whose types do not matter any more: the request is decoded and valid, the reply not yet checked. */
export type AnyHandler = (request: unknown, context: HandlerContext) => unknown

/**
 * Wraps the handlers of a replier. `request` is decoded and valid; `next` calls what is wrapped (the next middleware,
 * in the end the handler) and gives its reply. What the middleware returns is the reply; what it throws is the failure.
 */
export type Middleware = (request: unknown, context: HandlerContext, next: () => Promise<unknown>) => unknown

/** One handler of a handler and the middlewares around it, the first outermost. */
export function wrap(handler: AnyHandler, middlewares: readonly Middleware[]): AnyHandler {
  return middlewares.reduceRight<AnyHandler>(
    (inner, middleware) => (request, context) =>
      middleware(request, context, async () => inner(request, context)),
    handler,
  )
}
