/**
 * The operation by which a requester asks repliers what became of a key: each idempotent replier offers it beside the
 * operation itself, on the same topic. `docs/idempotency.md` describes it on the wire.
 */
import { decodeStoredOutcome, encodeStoredOutcome, type StoredOutcome } from './stored-outcome.ts'
import { headerBounds } from '../wire/milena.ts'
import type { Payload } from './codec.ts'
import { defineOperation, type AnyOperation, type Operation } from './operation.ts'
import { string } from './payload.ts'

/** What a replier's store knows of a key. Times in milliseconds since the Unix epoch, by the store's clock. */
export type OutcomeAnswer =
  | { readonly state: 'stored'; readonly storedAt: number; readonly outcome: StoredOutcome }
  | { readonly state: 'running'; readonly owner: string; readonly remaining: number }
  | { readonly state: 'released' }
  | { readonly state: 'lapsed' }
  | { readonly state: 'nothing'; readonly knowsSince: number | undefined }

const prefix = 'milena.outcome/'

/** Whether an operation of this name is such a query. */
export function isOutcomeQuery(operation: string): boolean {
  return operation.startsWith(prefix)
}

/** The key of a request without one of its own. @param correlationId in hexadecimal */
export function correlationKey(correlationId: string): string {
  return `correlation-id/${correlationId}`
}

/** `undefined` of an operation whose name leaves no room for it: nobody can ask for the outcome of its requests. */
export function outcomeQueryOf({
  name,
  topic,
}: Pick<AnyOperation, 'name' | 'topic'>):
  | Operation<string, string, OutcomeAnswer, OutcomeAnswer>
  | undefined {
  if (Buffer.byteLength(prefix) + Buffer.byteLength(name) > headerBounds.operation) return undefined
  const reply: Payload<OutcomeAnswer, OutcomeAnswer> = {
    codec: 'milena-outcome',
    schema: undefined,
    encode: encodeAnswer,
    decode: decodeAnswer,
  }
  return defineOperation({ name: `${prefix}${name}`, topic, request: string(), reply })
}

/** One line of JSON; behind it, of what is stored, its bytes. */
function encodeAnswer(answer: OutcomeAnswer): Buffer {
  if (answer.state !== 'stored') return Buffer.from(`${JSON.stringify(answer)}\n`)
  const { outcome, ...said } = answer
  return Buffer.concat([Buffer.from(`${JSON.stringify(said)}\n`), encodeStoredOutcome(outcome)])
}

function decodeAnswer(bytes: Buffer | null): OutcomeAnswer {
  const end = bytes?.indexOf('\n') ?? -1
  if (bytes === null || end < 0)
    throw new TypeError('an answer of what became of a key is one line of JSON at least')
  const said = JSON.parse(bytes.toString('utf8', 0, end)) as Record<string, unknown>
  const { state, storedAt, owner, remaining, knowsSince } = said
  switch (state) {
    case 'stored':
      return { state, storedAt: Number(storedAt), outcome: decodeStoredOutcome(bytes.subarray(end + 1)) }
    case 'running':
      return { state, owner: String(owner), remaining: Number(remaining) }
    case 'released':
    case 'lapsed':
      return { state }
    case 'nothing':
      return { state, knowsSince: typeof knowsSince === 'number' ? knowsSince : undefined }
    default:
      throw new TypeError('an answer of what became of a key has a state that nobody knows')
  }
}
