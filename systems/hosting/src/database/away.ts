import { DatabaseError } from 'pg'

/** Classes 08, 53 and 57 of PostgreSQL's error codes: the connection, resources, the operator. */
const passing = /^(?:08|53|57)/
const ofTheNetwork = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
])
/** The connection was lost on the way, the operator has ended it, or the server does not know itself. */
const untold = /^(?:08|57P0[1245]|40003|XX)/
/** The driver's own errors, and the library's, have no code. */
const ofTheDriver =
  /^(?:Connection terminated|timeout exceeded when trying to connect|Query read timeout|PostgreSQL has not answered|Client has encountered a connection error)/
/** Those of them that say that there was no connection. */
const ofConnecting =
  /^(?:timeout exceeded when trying to connect|Connection terminated due to connection timeout)/

/**
 * Whether this, or what it was caused by, says that a database, or what stands in its place, cannot be reached at present:
 * something that passes. What a query that was under way has done is not known then.
 */
export function isAway(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || depth > 4) return false
  const { code, syscall } = error as NodeJS.ErrnoException
  if (error instanceof DatabaseError) return passing.test(code ?? '')
  if (ofTheNetwork.has(code ?? '') && (code !== 'ENOENT' || syscall === 'connect')) return true
  if (ofTheDriver.test(error.message)) return true
  if (error instanceof AggregateError && error.errors.some((one) => isAway(one, depth + 1))) return true
  return isAway(error.cause, depth + 1)
}

/**
 * Whether what failed with this has certainly changed nothing, and will not: the database refused it, or there was no
 * connection to send it on. Of any other failure that is not known: a server that hangs may carry it out when it returns.
 */
export function isUndone(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof DatabaseError) return error.code !== undefined && !untold.test(error.code)
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isUndone)
  const { syscall } = error as NodeJS.ErrnoException
  return syscall === 'connect' || syscall === 'getaddrinfo' || ofConnecting.test(error.message)
}
