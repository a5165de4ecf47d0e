import { handlingTracing, type HandlingTrace } from '../diagnostics.ts'

/**
 * Calls a handler inside of `tracing:milena:handling`: in the stores that are bound to its start. Not by `tracePromise`,
 * which would publish the reply itself.
 */
export async function traced(trace: HandlingTrace, run: () => unknown): Promise<unknown> {
  const { start, end, asyncStart, asyncEnd, error } = handlingTracing
  const running = start.runStores(trace, async () => run())
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
