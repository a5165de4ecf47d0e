import type { Clock } from '../clock.ts'
import { warning } from '../diagnostics.ts'
import { MilenaError } from '../errors.ts'
import { errorOf, foreign } from '../words.ts'

/** Where a replier tells what an operator should know. */
export interface ReplierLogger {
  /**
   * `details` are ids, topics, offsets, sizes and error codes, never payloads. `error` is the error itself, when there
   * is one: a handler's may say anything, so look before you log it.
   */
  warn(message: string, details: Readonly<Record<string, unknown>>, error?: unknown): void
}

/** The most lines of one kind that the default logger writes in a period of so many milliseconds. */
const mostLines = 20
const period = 10_000

/**
 * One line on standard error each; of a foreign error only its name and code. Of one kind at most 20 lines in 10 s, so
 * that somebody who sends rubbish does not fill the disk: the next line then says how many were left out.
 */
export class StderrLogger implements ReplierLogger {
  readonly #clock: Clock
  readonly #kinds = new Map<string, { since: number; lines: number; leftOut: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  warn(message: string, details: Readonly<Record<string, unknown>>): void {
    const now = this.#clock.monotonic()
    let kind = this.#kinds.get(message)
    if (kind === undefined) this.#kinds.set(message, (kind = { since: now, lines: 0, leftOut: 0 }))
    if (now - kind.since >= period) Object.assign(kind, { since: now, lines: 0 })
    if (kind.lines === mostLines) {
      kind.leftOut++
      return
    }
    kind.lines++
    const told = kind.leftOut === 0 ? details : { ...details, leftOutBefore: kind.leftOut }
    kind.leftOut = 0
    process.stderr.write(`milena: ${message} ${JSON.stringify(told)}\n`)
  }
}

/** The most characters of one text in the details, and of the name of a foreign error. */
const longestDetail = 500
const longestName = 80

/**
 * Tells the logger, and whoever listens to `milena:warning`. A logger that throws harms nobody. Texts in the details are
 * escaped and cut: some come over the wire.
 */
export class Warnings {
  readonly #logger: ReplierLogger
  readonly #context: string

  constructor(logger: ReplierLogger, context: string) {
    this.#logger = logger
    this.#context = context
  }

  tell(message: string, details: Readonly<Record<string, unknown>>, error?: unknown): void {
    if (warning.hasSubscribers) {
      warning.publish({
        context: `${this.#context}: ${message}`,
        error: error === undefined ? new Error(message) : errorOf(error),
      })
    }
    try {
      const told: Record<string, unknown> = {}
      for (const [name, value] of Object.entries(details)) {
        told[name] = typeof value === 'string' ? foreign(value, longestDetail) : value
      }
      if (error !== undefined) told.error = nameError(error)
      this.#logger.warn(message, told, error)
    } catch {
      // There is nowhere left to say so.
    }
  }
}

/** Our own messages have no payload in them; others' might. */
function nameError(thrown: unknown): string {
  try {
    if (thrown instanceof MilenaError) return foreign(`${thrown.code}: ${thrown.message}`, longestDetail)
    if (!(thrown instanceof Error)) return typeof thrown
    const { code } = thrown as { code?: unknown }
    const name = foreign(thrown.name, longestName)
    return typeof code === 'string' ? `${name} ${foreign(code, longestName)}` : name
  } catch {
    return 'a thrown value that cannot be put into words'
  }
}
