import { inspect } from 'node:util'
import type { TestEvent } from 'node:test/reporters'
import type { TestMessage } from './messages.ts'

/**
 * Reporter of node:test for one test file: sends each result to the check that started the process. It prints
 * nothing itself; what a run looks like is decided in one place, test-run.ts.
 */
export async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<never> {
  const trail: string[] = []
  let open = 0
  for await (const { type, data } of events) {
    if (type === 'test:start') {
      trail.length = data.nesting
      trail.push(data.name)
    } else if (type === 'test:enqueue' && data.nesting === 0) {
      open += 1
      if (open === 1) send({ kind: 'busy' })
    } else if (type === 'test:pass' || type === 'test:fail') {
      const name = [...trail.slice(0, data.nesting), data.name].join(' › ')
      for (const message of judge(name, type === 'test:fail', data)) send(message)
      if (data.nesting === 0) {
        open -= 1
        if (open === 0) send({ kind: 'idle' })
      }
    } else if (type === 'test:diagnostic' && data.message.includes('generated asynchronous activity')) {
      // An error after a test's end fails no test, but it is one all the same.
      send({ kind: 'failed', name: 'after the end of a test', detail: data.message })
    }
  }
  yield* []
}

// node:test loads a reporter by its default export.
export { report as default }

interface Result {
  nesting: number
  details: { type?: string | undefined; error?: unknown }
  skip?: string | boolean | undefined
  todo?: string | boolean | undefined
}

function* judge(name: string, failed: boolean, data: Result): Generator<TestMessage> {
  const { error, type } = data.details
  const failure = isFailure(error) ? error.failureType : undefined
  const reason = data.skip ?? data.todo
  if (failed && failure === 'subtestsFailed') return // they have been told one by one
  if (failed) yield { kind: 'failed', name, detail: describe(error) }
  else if (reason !== undefined && reason !== false) {
    yield {
      kind: 'skipped',
      name,
      reason: typeof reason === 'string' && reason.trim() !== '' ? reason : undefined,
    }
  } else if (type !== 'suite') yield { kind: 'passed' }
}

function isFailure(error: unknown): error is Error & { failureType: string } {
  return error instanceof Error && 'failureType' in error
}

/** node:test wraps what a test threw; the wrapping itself only matters when there is nothing in it. */
function describe(error: unknown): string {
  if (isFailure(error) && error.cause instanceof Error) return inspect(error.cause, { depth: 8 })
  return error instanceof Error ? error.message : inspect(error)
}

function send(message: TestMessage): void {
  process.send?.(message)
}
