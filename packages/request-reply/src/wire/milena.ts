/**
 * Milena's own headers: plain text, ignored by everybody else. `docs/headers.md` lists them with their bounds.
 */
import { lastHeader, type RawHeader } from './headers.ts'

/** The most bytes of each header that are read or written; a longer one counts as absent, or is cut when written. */
export const headerBounds = {
  operation: 255,
  instance: 255,
  deadline: 16,
  errorCode: 128,
  errorMessage: 2048,
} as const

const operationName = Buffer.from('milena-operation')
const instanceName = Buffer.from('milena-instance')
const deadlineName = Buffer.from('milena-deadline')
const errorCodeName = Buffer.from('milena-error-code')
const errorMessageName = Buffer.from('milena-error-message')

export function operationHeader(operation: string): RawHeader {
  return [operationName, Buffer.from(operation)]
}

export function instanceHeader(instanceId: string): RawHeader {
  return [instanceName, Buffer.from(instanceId)]
}

/** Milliseconds since the Unix epoch after which the requester no longer waits. */
export function deadlineHeader(deadline: number): RawHeader {
  return [deadlineName, Buffer.from(String(Math.ceil(deadline)), 'latin1')]
}

export function errorHeaders(code: string, message: string): RawHeader[] {
  return [
    [errorCodeName, cut(Buffer.from(code), headerBounds.errorCode)],
    [errorMessageName, cut(Buffer.from(message), headerBounds.errorMessage)],
  ]
}

export function readOperation(headers: readonly RawHeader[]): string | undefined {
  return readText(headers, operationName, headerBounds.operation)
}

export function readInstance(headers: readonly RawHeader[]): string | undefined {
  return readText(headers, instanceName, headerBounds.instance)
}

/** The deadline, or `undefined` when there is none or it is not 1 to 16 decimal digits. */
export function readDeadline(headers: readonly RawHeader[]): number | undefined {
  const digits = lastHeader(headers, deadlineName)
  if (!digits || digits.length === 0 || digits.length > headerBounds.deadline) return undefined
  // Read in place: it is in every request, and a string, a pattern and a number of it cost three times as much.
  let deadline = 0
  for (let i = 0; i < digits.length; i++) {
    const digit = digits[i]! - 0x30
    if (!(digit >= 0 && digit <= 9)) return undefined
    deadline = deadline * 10 + digit
  }
  return deadline
}

/**
 * The replier's error, or `undefined` when the reply is none. A code that breaks its bounds is one all the same: an
 * error must never be taken for a value.
 */
export function readError(headers: readonly RawHeader[]): { code: string; message: string } | undefined {
  const code = lastHeader(headers, errorCodeName)
  if (!code) return undefined
  return {
    code: cut(code, headerBounds.errorCode).toString(),
    message: readText(headers, errorMessageName, headerBounds.errorMessage) ?? '',
  }
}

function readText(headers: readonly RawHeader[], name: Buffer, bound: number): string | undefined {
  const value = lastHeader(headers, name)
  return value && value.length > 0 && value.length <= bound ? value.toString() : undefined
}

/** Cuts at a character's border, so that what is left is UTF-8. */
function cut(bytes: Buffer, bound: number): Buffer {
  if (bytes.length <= bound) return bytes
  let end = bound
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--
  return bytes.subarray(0, end)
}
