/**
 * Turns what is not ours into words: whatever was thrown, and text from somewhere else (the wire, another library).
 * Nothing here throws, whatever it is given, and what comes out is bounded and has no control characters.
 */

/** The most characters of foreign text in a message of ours. */
const longestForeign = 500

/**
 * Foreign text for a message of ours: control characters, line separators and lone surrogates escaped (`\u001b`), so that it
 * can forge no line of a log and steer no terminal; cut after `longest` characters.
 */
export function foreign(text: string, longest: number = longestForeign): string {
  const cut = text.length > longest ? `${text.slice(0, longest)}… (${text.length} characters)` : text
  return cut.replaceAll(unprintable, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}

// C0, DEL and C1 controls, line and paragraph separators, marks that turn the direction of text, lone surrogates.
const unprintable = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\p{Cs}]/gu

/** What was thrown, in words: an error's message, else what it is. For what somebody threw who may throw anything. */
export function wordsOf(thrown: unknown): string {
  return foreign(rawWordsOf(thrown))
}

function rawWordsOf(thrown: unknown): string {
  try {
    if (typeof thrown === 'string') return thrown
    if (typeof thrown === 'object' && thrown !== null) {
      const { message, name } = thrown as { message?: unknown; name?: unknown }
      if (typeof message === 'string' && message !== '') return message
      if (thrown instanceof Error && typeof name === 'string') return name
      return `a thrown object (${Object.prototype.toString.call(thrown)})`
    }
    if (typeof thrown === 'function') return 'a thrown function'
    return String(thrown)
  } catch {
    return 'a thrown value that cannot be put into words'
  }
}

/** What it is, without a word of what it says: an error's class, else the kind of value. For what may quote a payload. */
export function classOf(value: unknown): string {
  try {
    if (value === null || value === undefined) return String(value)
    if (typeof value !== 'object') return `a ${typeof value}`
    const name: unknown = value instanceof Error ? value.name : undefined
    if (typeof name === 'string' && name !== '') return foreign(name, 100)
    const made: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name
    return `an object (${typeof made === 'string' && made !== '' ? foreign(made, 100) : 'of no class'})`
  } catch {
    return 'a value that cannot be put into words'
  }
}

/** A number as it is, and of anything else what it is. */
export function said(value: unknown): string {
  return typeof value === 'number' ? String(value) : classOf(value)
}

/** One of a few words that should have been chosen: a text as it is, in quotes. */
export function saidWord(value: unknown): string {
  return typeof value === 'string' ? `"${foreign(value, 100)}"` : said(value)
}

/** The most characters, lines, and characters of a line, of a stack that is shown. */
const longestStack = 4_000
const mostLines = 20
const longestLine = 200

/** Its stack, bounded, or what it says where it has none. */
export function stackOf(thrown: unknown): string {
  try {
    const { stack } = thrown as { stack?: unknown }
    if (typeof stack === 'string' && stack !== '') {
      const lines = stack.slice(0, longestStack).split('\n', mostLines)
      return lines.map((line) => foreign(line, longestLine)).join('\n')
    }
  } catch {
    // It has none that can be read.
  }
  return wordsOf(thrown)
}

/** An error, whatever was thrown; its `cause` is that, where it was none. */
export function errorOf(thrown: unknown): Error {
  try {
    if (thrown instanceof Error) return thrown
  } catch {
    // A proxy whose prototype cannot be read.
  }
  const made = new Error(wordsOf(thrown), { cause: thrown })
  // Where it was thrown is not known, and this place here would lead astray.
  made.stack = `${made.name}: ${made.message}`
  return made
}
