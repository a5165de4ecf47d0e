import { OptionsError } from '../errors.ts'
import type { HandlerContext, RequestContext } from './context.ts'

/**
 * Calls what is wrapped (the next middleware, in the end the handler) and gives its reply. Each call does so anew: a
 * second one is a retry in place, with the same context.
 *
 * @param request what is handled instead of the request; `undefined`, or none: the request as it is. It is not validated
 *   again: the handler gets what is given here
 * @param added fields for the context, of what is wrapped and of the handler; needed where the middleware's type has any
 */
export type Next<Added extends object> = keyof Added extends never
  ? (request?: unknown) => Promise<unknown>
  : (request: unknown, added: Added) => Promise<unknown>

/**
 * Stands around the handlers, with values: `request` is decoded and valid. What it returns is the reply, which is then
 * validated and encoded; what it throws is the failure, as if the handler had thrown it. `Added` is what it adds to the
 * context: a handler's context has it, by its type too.
 */
export interface Middleware<Added extends object = object> {
  (request: unknown, context: HandlerContext, next: Next<Added>): unknown
}

/** What a list of middlewares adds to the context. */
export type AddedBy<Middlewares extends readonly unknown[]> = Middlewares extends readonly [
  infer First,
  ...infer Others,
]
  ? (First extends Middleware<infer Added> ? Added : object) & AddedBy<Others>
  : object

/** Any middleware, where its types do not matter. */
export type AnyMiddleware = (
  request: unknown,
  context: HandlerContext,
  next: (request?: unknown, added?: object) => Promise<unknown>,
) => unknown

/** A handler whose types do not matter any more: the request is decoded and valid, the reply not yet checked. */
export type AnyHandler = (request: unknown, context: RequestContext) => unknown

/** One handler of a handler and the middlewares around it, the first outermost. */
export function wrap(handler: AnyHandler, middlewares: readonly AnyMiddleware[]): AnyHandler {
  return middlewares.reduceRight<AnyHandler>(
    (inner, middleware) => (request, context) =>
      middleware(request, context, async (replaced, added) => {
        if (added !== undefined) addToContext(context, added)
        return inner(replaced === undefined ? request : replaced, context)
      }),
    handler,
  )
}

/** @throws OptionsError when the context itself has a field of that name. */
export function addToContext(context: RequestContext, added: object): void {
  for (const [name, value] of Object.entries(added)) {
    if (context.isOwn(name)) {
      throw new OptionsError('a middleware', [`it adds ${JSON.stringify(name)}, which every context has`])
    }
    Object.defineProperty(context, name, { value, enumerable: true, configurable: true, writable: true })
  }
}
