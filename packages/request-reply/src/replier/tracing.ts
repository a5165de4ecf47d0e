import { handlingTracing, type HandlingTrace } from '../diagnostics.ts'
import type { RequestContext } from './context.ts'
import type { AnyHandler } from './middleware.ts'

/**
 * Calls a handler inside of `tracing:milena:handling`: in the stores that are bound to its start. Not by `tracePromise`,
 * which would publish the reply itself.
 */
export async function traced(
  trace: HandlingTrace,
  handler: AnyHandler,
  request: unknown,
  context: RequestContext,
): Promise<unknown> {
  const { start, end, asyncStart, asyncEnd, error } = handlingTracing
  const running = start.runStores(trace, async () => handler(request, context))
  end.publish(trace)
  try {
    return await running
  } catch (thrown) {
    trace.error = thrown
    error.publish(trace)
    throw thrown
  } finally {
    asyncStart.publish(trace)
    asyncEnd.publish(trace)
  }
}
