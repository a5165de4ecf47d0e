import { errorCodes } from './error-codes.ts'
import type { ErrorCode } from './error-codes.ts'

const names = new Map<number, string>(Object.entries(errorCodes).map(([name, code]) => [code, name]))

/** Messages quote what a client sent; so much of it is enough, and fits any string of the protocol. */
const longestMessage = 1000

/** An error that the protocol has a code for; the handler turns it into the response's error fields. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string) {
    super(message.slice(0, longestMessage))
    this.code = code
  }

  /** The code's name, such as `INVALID_CONFIG`. */
  get codeName(): string {
    return names.get(this.code) ?? String(this.code)
  }
}
