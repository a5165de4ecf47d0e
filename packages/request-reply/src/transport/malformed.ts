/** What is wrong with a record that cannot be one: callers without types, and wrappers, hand over anything. */
import { TransportError } from '../errors.ts'
import { foreign } from '../words.ts'
import type { OutgoingRecord } from './transport.ts'

/** Kafka's. A much longer one the brokers do not even read: they end the connection, with all that others ask there. */
export const longestTopicName = 249

/** The error for something that no transport can send; `undefined` for a record. It never has the record's bytes. */
export function malformed(record: OutgoingRecord): TransportError | undefined {
  let problem: string | undefined
  try {
    problem = problemOf(record)
  } catch {
    problem = 'it cannot be read'
  }
  return problem === undefined ? undefined : unsendable(problem)
}

/** Something that is certainly not sent, and would not be at another time. */
export function unsendable(problem: string, cause?: unknown): TransportError {
  return new TransportError('MILENA_NOT_SENT', `this record cannot be sent: ${problem}`, {
    cause,
    retryable: false,
  })
}

function problemOf(record: unknown): string | undefined {
  if (typeof record !== 'object' || record === null) return `it is ${kindOf(record)}`
  const { topic, key, value, headers } = record as Readonly<Record<string, unknown>>
  if (typeof topic !== 'string') return `its topic is ${kindOf(topic)}, where a string is wanted`
  if (topic.length > longestTopicName)
    return `its topic's name has ${topic.length} characters, of at most ${longestTopicName}: ${foreign(topic, 60)}`
  if (key !== null && !Buffer.isBuffer(key))
    return `its key is ${kindOf(key)}, where a Buffer or null is wanted`
  if (!isBytesOrNull(value)) return `its value is ${kindOf(value)}, where a Buffer or null is wanted`
  if (!Array.isArray(headers)) return `its headers are ${kindOf(headers)}, where an array is wanted`
  for (const [index, header] of headers.entries()) {
    if (!Array.isArray(header))
      return `its header ${index} is ${kindOf(header)}, where [name, value] is wanted`
    const [name, content] = header as readonly unknown[]
    if (name === null || !isBytesOrNull(name))
      return `the name of its header ${index} is ${kindOf(name)}, where a Buffer is wanted`
    if (!isBytesOrNull(content))
      return `the value of its header ${index} is ${kindOf(content)}, where a Buffer or null is wanted`
  }
  return undefined
}

function isBytesOrNull(value: unknown): boolean {
  return value === null || value instanceof Uint8Array
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  return Array.isArray(value) ? 'an array' : 'an object of another kind'
}
