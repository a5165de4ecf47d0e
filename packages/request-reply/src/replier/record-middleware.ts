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
  /** Where it stands among those that have one, by `depths`; in another order than that a replier refuses them. */
  readonly depth?: number | undefined
}

/**
 * Middleware that works in one order only, from the outside in. What would come of another: an outcome that is kept before
 * it is tried again is never tried again; a letter that is written before the retry is of a request that is done after all.
 */
export const depths = { idempotency: 1, deadLetter: 2, retryTopics: 3, retry: 4 } as const

/** What is wrong with the order of these, the outermost first, if anything. */
export function problemOfOrder(middlewares: readonly AnyRecordMiddleware[]): string | undefined {
  const placed = middlewares.filter(({ depth }) => depth !== undefined)
  const at = placed.findIndex(({ depth }, i) => i > 0 && depth! < placed[i - 1]!.depth!)
  if (at < 0) return undefined
  return (
    `${nameOf(placed[at - 1]!, at - 1)} stands outside of ${nameOf(placed[at]!, at)}: from the outside in it is ` +
    `${Object.keys(depths).join(', ')}, and those of replier.useRecords stand outside of those of handle`
  )
}

/**
 * @param added fields for the handler's context; needed where the middleware's type has any
 * @param check asked when the handler has done the work, before anybody else hears of it: what it throws is the handler's
 *   failure, for all middleware inside of this one, too
 */
export type NextRecord<Added extends object> = keyof Added extends never
  ? () => Promise<Outcome>
  : (added: Added, check?: () => Promise<void>) => Promise<Outcome>

/** Any record middleware, where its types do not matter. */
export interface AnyRecordMiddleware {
  (
    request: RawRequest,
    next: (added?: object, check?: () => Promise<void>) => Promise<Outcome>,
  ): Outcome | Promise<Outcome>
  readonly extension?: ReplierExtension | undefined
  readonly depth?: number | undefined
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
 * @param add puts fields into the handler's context, and has its work checked
 * @param failed gives the outcome of a record whose middleware has thrown
 */
export function throughRecordMiddleware(
  middlewares: readonly AnyRecordMiddleware[],
  request: RawRequest,
  inside: () => Outcome | Promise<Outcome>,
  add: (added: object, check: (() => Promise<void>) | undefined) => void,
  reserved: ReservedHeaders,
  failed: (name: string, thrown: unknown) => Outcome,
): Promise<Outcome> {
  const enter = async (place: number): Promise<Outcome> => {
    const middleware = middlewares[place]
    if (middleware === undefined) return inside()
    let entered: Promise<Outcome> | undefined
    let given: Outcome | undefined
    const next = (added?: object, check?: () => Promise<void>): Promise<Outcome> => {
      if (entered !== undefined) return entered
      if (added !== undefined) add(added, check)
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
