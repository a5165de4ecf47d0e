import { OptionsError } from '../errors.ts'
import type { ReservedHeaders } from '../wire/reserved-headers.ts'
import { classOf } from '../words.ts'
import type { ReplierExtension } from './extension.ts'
import type { Outcome } from './outcome.ts'
import type { RawRequest } from './raw-request.ts'

/**
 * Stands before everything else, with the record as it came: before the deadline is looked at and the value decoded. It
 * sees every record, also those that would be passed over, and the outcome of what is inside, a reply in its bytes. What
 * it returns is the outcome: that of `next()`, or one of its own, with or without having called it.
 *
 * `next()` handles the record, once: a second call gives the same promise, which never rejects. To have the record handled
 * again return `later` or `stop`. What it gives to `next` is added to the handler's context, by its type too. When the middleware throws, or returns what is no outcome, the request is answered as if
 * its handler had failed, and a warning names the middleware; return `stop` to have it tried again instead.
 */
export interface RecordMiddleware<Added extends object = object> {
  (request: RawRequest, next: NextRecord<Added>): Outcome | Promise<Outcome>
  /** Topics, operations, opening and closing, where it needs any. */
  readonly extension?: ReplierExtension | undefined
}

/** @param added fields for the handler's context; needed where the middleware's type has any */
export type NextRecord<Added extends object> = keyof Added extends never
  ? () => Promise<Outcome>
  : (added: Added) => Promise<Outcome>

/** Any record middleware, where its types do not matter. */
export interface AnyRecordMiddleware {
  (request: RawRequest, next: (added?: object) => Promise<Outcome>): Outcome | Promise<Outcome>
  readonly extension?: ReplierExtension | undefined
}

/** What a list of record middlewares adds to the context. */
export type AddedByRecords<Middlewares extends readonly unknown[]> = Middlewares extends readonly [
  infer First,
  ...infer Others,
]
  ? (First extends RecordMiddleware<infer Added> ? Added : object) & AddedByRecords<Others>
  : object

/**
 * Never rejects.
 *
 * @param add puts fields into the handler's context
 * @param failed gives the outcome of a record whose middleware has thrown
 */
export function throughRecordMiddleware(
  middlewares: readonly AnyRecordMiddleware[],
  request: RawRequest,
  inside: () => Outcome | Promise<Outcome>,
  add: (added: object) => void,
  reserved: ReservedHeaders,
  failed: (name: string, thrown: unknown) => Outcome,
): Promise<Outcome> {
  const enter = async (place: number): Promise<Outcome> => {
    const middleware = middlewares[place]
    if (middleware === undefined) return inside()
    let entered: Promise<Outcome> | undefined
    let given: Outcome | undefined
    const next = (added?: object): Promise<Outcome> => {
      if (entered !== undefined) return entered
      if (added !== undefined) add(added)
      return (entered = enter(place + 1).then((outcome) => (given = outcome)))
    }
    try {
      const outcome: unknown = await middleware(request, next)
      if (outcome === given && given !== undefined) return given
      const problem = problemOf(outcome)
      if (problem === undefined) return withOwnHeaders(outcome as Outcome, reserved)
      throw new OptionsError('a record middleware', [problem])
    } catch (error) {
      return failed(nameOf(middleware, place), error)
    }
  }
  return enter(0)
}

/** @throws TypeError when it has a header of the library's own, which would make it another reply. */
function withOwnHeaders(outcome: Outcome, reserved: ReservedHeaders): Outcome {
  if (outcome.kind === 'reply' || outcome.kind === 'error') reserved.refuse(outcome.headers ?? [])
  return outcome
}

/** What is wrong with what a middleware has returned, if anything. */
function problemOf(outcome: unknown): string | undefined {
  if (typeof outcome !== 'object' || outcome === null)
    return `it returned ${classOf(outcome)}, which is no outcome`
  const { kind, value, headers, code, message, notBefore, reason, detail, error } = outcome as Record<
    string,
    unknown
  >
  switch (kind) {
    case 'reply':
      if (value !== null && !Buffer.isBuffer(value))
        return 'it returned a reply whose value is neither a Buffer nor null'
      return areHeaders(headers) ? undefined : 'it returned a reply whose headers are none'
    case 'error':
      if (typeof code !== 'string' || code === '' || typeof message !== 'string')
        return 'it returned an error without code or message'
      return headers === undefined || areHeaders(headers)
        ? undefined
        : 'it returned an error whose headers are none'
    case 'later':
      return Number.isFinite(notBefore) ? undefined : 'it returned later without a time'
    case 'stop':
      return error instanceof Error ? undefined : 'it returned stop without an error'
    case 'passed over':
      return typeof reason === 'string' && typeof detail === 'string'
        ? undefined
        : 'it returned passed over without a reason'
    case 'done':
    case 'handed over':
    case 'abandoned':
      return undefined
    default:
      return 'it returned an object that is no outcome'
  }
}

function areHeaders(headers: unknown): boolean {
  return (
    Array.isArray(headers) &&
    headers.every(
      (header: unknown) =>
        Array.isArray(header) &&
        Buffer.isBuffer(header[0]) &&
        (header[1] === null || Buffer.isBuffer(header[1])),
    )
  )
}

function nameOf(middleware: AnyRecordMiddleware, place: number): string {
  return typeof middleware.name === 'string' && middleware.name !== ''
    ? middleware.name
    : `number ${place + 1}`
}
