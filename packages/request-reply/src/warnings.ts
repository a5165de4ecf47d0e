/**
 * What an operator should know and no caller is told: one way for requesters, repliers and sagas.
 *
 *     tell ──▶ milena:warning, each one                      (diagnostics.ts)
 *        └───▶ brake: of a kind one line, then a count ──▶ logger
 *                                                      └─▶ without one, and without a subscriber: process.emitWarning
 */
import type { Clock, ScheduledTimer } from './clock.ts'
import { warning } from './diagnostics.ts'
import { MilenaError, ValidationError } from './errors.ts'
import { errorOf, foreign, stackOf, wordsOf } from './words.ts'

/**
 * Where a requester, a replier or `createSagas` tells what an operator should know. `console` is one, and loggers of
 * winston, pino and Fastify are as they stand: one with pino's methods `bindings` and `child` is given the details first,
 * as it wants them, and a console the stack as text below.
 */
export interface Logger {
  /**
   * `message` is one of a few fixed sentences. `details` are ids, topics, offsets, sizes and error codes, never payloads;
   * `error`, `stack` and `failing` among them are the error in words: of one that the application has thrown its own. `more`
   * says how many of the same kind were left out since the last line. `error` is the error itself, when there is one.
   */
  warn(message: string, details: Readonly<Record<string, unknown>>, error?: unknown): void
}

/** Milliseconds in which a kind of warning is one line; what comes meanwhile is counted, and told at the end. */
const period = 10_000
/** Kinds of one sentence that are told apart, and sentences; further ones are one kind. */
const mostKinds = 20
const mostSentences = 200
/** The most characters of one text in the details, and entries of a list. */
const longestDetail = 500
const longestList = 50
const causes = 3

interface Kind {
  since: number
  /** Left out since then. */
  more: number
  last: readonly [details: Readonly<Record<string, unknown>>, error: unknown]
  timer: ScheduledTimer | undefined
}

export interface WarningsOptions {
  /** Such as `replier of group g`. */
  readonly who: string
  /** What each warning has among its details. */
  readonly always: Readonly<Record<string, unknown>>
  readonly logger: Logger | undefined
  readonly clock: Clock
}

export class Warnings {
  readonly #options: WarningsOptions
  readonly #sentences = new Map<string, Map<string, Kind>>()
  #closed = false

  constructor(options: WarningsOptions) {
    this.#options = options
  }

  /**
   * Never throws, whatever was thrown, and whatever the logger does.
   *
   * @param message a fixed sentence: what changes from one to the next belongs to the details
   */
  tell(message: string, details: Readonly<Record<string, unknown>> = {}, error?: unknown): void {
    if (warning.hasSubscribers) {
      warning.publish({
        context: `${this.#options.who}: ${message}`,
        details,
        error: error === undefined ? new Error(message) : errorOf(error),
      })
    }
    const now = this.#options.clock.monotonic()
    const kinds = this.#kindsOf(message)
    if (kinds.size >= mostKinds) drop(kinds, now)
    const name = nameOf(kinds, details, error)
    const known = kinds.get(name)
    if (known !== undefined && now - known.since < period)
      return this.#leaveOut(message, known, details, error)
    // One whose time is over is the last again, so that the first is the oldest.
    kinds.delete(name)
    kinds.set(name, { since: now, more: 0, last: [details, error], timer: undefined })
    this.#write(message, details, error, 0)
  }

  /** What was left out is told now. */
  close(): void {
    this.#closed = true
    for (const [message, kinds] of this.#sentences)
      for (const kind of kinds.values()) this.#count(message, kind)
  }

  #leaveOut(message: string, kind: Kind, details: Readonly<Record<string, unknown>>, error: unknown): void {
    const { clock } = this.#options
    kind.more++
    kind.last = [details, error]
    if (this.#closed) return
    kind.timer ??= clock.schedule(kind.since + period - clock.monotonic(), () => this.#count(message, kind))
  }

  #count(message: string, kind: Kind): void {
    kind.timer?.cancel()
    kind.timer = undefined
    const { more } = kind
    if (more === 0) return
    kind.more = 0
    kind.since = this.#options.clock.monotonic()
    this.#write(message, ...kind.last, more)
  }

  #kindsOf(message: string): Map<string, Kind> {
    const sentence = this.#sentences.has(message) || this.#sentences.size < mostSentences ? message : ''
    let kinds = this.#sentences.get(sentence)
    if (kinds === undefined) this.#sentences.set(sentence, (kinds = new Map()))
    return kinds
  }

  #write(message: string, details: Readonly<Record<string, unknown>>, error: unknown, more: number): void {
    const { logger, who, always } = this.#options
    try {
      const told: Record<string, unknown> = { ...always }
      for (const [name, value] of Object.entries(details)) {
        told[name] = typeof value === 'string' ? foreign(value, longestDetail) : value
      }
      if (error !== undefined) Object.assign(told, inWords(error))
      if (more > 0) told.more = more
      if (logger === undefined) {
        if (!warning.hasSubscribers) emit(who, message, told)
      } else if (takesDetailsFirst(logger)) logger.warn(told, message)
      else if (logger instanceof console.Console) print(logger, message, told)
      else if (error === undefined) logger.warn(message, told)
      else logger.warn(message, told, error)
    } catch {
      // There is nowhere left to say so.
    }
  }
}

/** What is wrong with the option, if anything. */
export function problemOfLogger(logger: Partial<Logger> | null | undefined): string | undefined {
  if (logger === undefined) return undefined
  try {
    if (typeof logger?.warn === 'function') return undefined
  } catch {
    // It has none that can be read.
  }
  return 'logger must have a method warn(message, details, error)'
}

/** A process warning is one text; its detail are lines below it. */
function emit(
  who: string,
  message: string,
  { error: said, stack, more, ...rest }: Record<string, unknown>,
): void {
  const counted = typeof more === 'number' ? ` (and ${more} more like it)` : ''
  const why = said === undefined ? '' : `: ${said as string}`
  const below = typeof stack === 'string' && stack.includes('\n') ? { detail: stack } : undefined
  process.emitWarning(`${who}: ${message}${counted}${why} ${JSON.stringify(rest, plain)}`, {
    type: 'MilenaWarning',
    ...below,
  })
}

/** A console would write the stack twice, and an error as it is, with whatever control characters are in it. */
function print(to: Console, message: string, { stack, ...rest }: Record<string, unknown>): void {
  if (stack === undefined) to.warn(message, rest)
  else to.warn(message, rest, `\n${stack as string}`)
}

function plain(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

function takesDetailsFirst(logger: object): logger is { warn(details: object, message: string): void } {
  const { bindings, child } = logger as { bindings?: unknown; child?: unknown }
  return typeof bindings === 'function' && typeof child === 'function'
}

/**
 * Two warnings are of one kind when they say the same of the same operation, topic or partition, and of the same error. A
 * place in a log, an id or a size makes no other kind: those come with every record.
 */
function nameOf(
  kinds: ReadonlyMap<string, Kind>,
  details: Readonly<Record<string, unknown>>,
  error: unknown,
): string {
  const { operation, saga, topic, partition, reason, offset } = details
  const where = offset === undefined ? partition : undefined
  const name = JSON.stringify([
    operation,
    saga,
    topic,
    where,
    reason,
    error === undefined ? undefined : headOf(error),
  ])
  return kinds.has(name) || kinds.size < mostKinds ? name : ''
}

/** Forgets kinds whose time is over: of what they had left out nothing is due. */
function drop(kinds: Map<string, Kind>, now: number): void {
  for (const [name, { since, more }] of kinds) if (more === 0 && now - since >= period) kinds.delete(name)
}

/** Our own errors say by themselves where they come from; of others the stack does. */
function inWords(thrown: unknown): { error: string; stack?: string; failing?: readonly string[] } {
  const error = headOf(thrown)
  const stacks: string[] = []
  let at: unknown = thrown
  for (let depth = 0; depth <= causes && at !== undefined && at !== null; depth++) {
    if (!(at instanceof MilenaError)) {
      const stack = stackOf(at)
      if (saysMore(stack, wordsOf(at), [error, ...stacks])) stacks.push(stack)
    } else if (depth > 0) stacks.push(headOf(at))
    at = causeOf(at)
  }
  const failing = thrown instanceof ValidationError ? pathsOf(thrown) : undefined
  return {
    error,
    ...(stacks.length > 0 && { stack: stacks.join('\ncaused by ') }),
    ...(failing && { failing }),
  }
}

/** A stack that names places within Node alone, or none, says no more than its words, which may have been told above it. */
function saysMore(stack: string, words: string, told: readonly string[]): boolean {
  const places = stack.split('\n').filter((line) => /^ +at /.test(line))
  const ours = places.some((line) => !/[ (]node:\S+:\d+\)?$/.test(line))
  return ours || !told.some((text) => text.includes(words))
}

function pathsOf({ issues }: ValidationError): readonly string[] {
  const paths = issues
    .slice(0, longestList)
    .map(({ path, message }) => foreign(`${path}: ${message}`, longestDetail))
  return issues.length > longestList ? [...paths, `and ${issues.length - longestList} more`] : paths
}

function causeOf(thrown: unknown): unknown {
  try {
    return thrown instanceof Error ? thrown.cause : undefined
  } catch {
    return undefined
  }
}

/** What it is and says: its code, or its class, and its message. */
function headOf(thrown: unknown): string {
  try {
    if (thrown instanceof MilenaError) return foreign(`${thrown.code}: ${thrown.message}`, longestDetail)
    if (!(thrown instanceof Error)) return `thrown: ${wordsOf(thrown)}`
    const { code } = thrown as { code?: unknown }
    const name = typeof code === 'string' ? `${thrown.name} ${code}` : thrown.name
    return foreign(`${name}: ${thrown.message}`, longestDetail)
  } catch {
    return 'a thrown value that cannot be put into words'
  }
}
