/** What is stored of inputs and results: JSON, within a bound. */
import { classOf } from '../words.ts'

/**
 * The value as it comes out of JSON again.
 *
 * @throws TypeError what cannot be stored, and why
 */
export function toDocument(what: string, value: unknown, maxBytes: number): unknown {
  if (value === undefined) return undefined
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw new TypeError(`${what} cannot be stored: it is no JSON`, { cause })
  }
  if (text === undefined) throw new TypeError(`${what} cannot be stored: it is ${classOf(value)}`)
  const bytes = Buffer.byteLength(text)
  if (bytes > maxBytes) {
    throw new TypeError(`${what} cannot be stored: it has ${bytes} bytes, at most ${maxBytes} are allowed`)
  }
  return JSON.parse(text) as unknown
}
