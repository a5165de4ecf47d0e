import type { Encoded } from '../contract/coding.ts'
import { errorHeaders } from '../wire/milena.ts'
import type { WireProfile } from '../wire/profile.ts'
import { encodeHeaders, lastHeader, type RawHeader } from '../wire/headers.ts'
import type { IncomingRecord, OutgoingRecord } from '../transport/transport.ts'
import type { Addressee } from './addressee.ts'
import type { HandlerContext } from './context.ts'
import type { ReplierSettings } from './options.ts'
import type { ErrorOutcome, ReplyOutcome } from './outcome.ts'

const none: readonly RawHeader[] = []

/**
 * Writes reply records.
 *
 * Headers in this order: copied from the request, the application's, the codec's, then our own; a reader takes the last of a name.
 * The key is the request's, as Spring does it since 3.3; an error reply has a null value.
 */
export class Answers {
  readonly #settings: ReplierSettings

  constructor(settings: ReplierSettings) {
    this.#settings = settings
  }

  /** The record of a reply. @param withKey false leaves the request's key out: it was the trouble */
  write(to: Addressee, outcome: ReplyOutcome | ErrorOutcome, withKey = true): OutgoingRecord {
    const { topic, partition } = to.address
    const headers = replyHeaders(this.#settings.profile, to.record.headers, to.correlationId, outcome)
    const value = outcome.kind === 'reply' ? outcome.value : null
    return { topic, partition, key: withKey ? to.record.key : null, value, headers }
  }

  /** @throws what the application's `replyHeaders` throws; TypeError when it, or the codec, names a reserved header. */
  reply(record: IncomingRecord, context: HandlerContext | undefined, encoded: Encoded): ReplyOutcome {
    const copied = this.#copied(record)
    const added = this.#added(context)
    const { value, headers } = encoded
    if (headers.length > 0) this.#settings.reserved.refuse(headers)
    const all = copied.length + added.length + headers.length === 0 ? none : [...copied, ...added, ...headers]
    return { kind: 'reply', value, headers: all }
  }

  error(
    record: IncomingRecord,
    context: HandlerContext | undefined,
    facts: Omit<ErrorOutcome, 'kind' | 'headers'>,
  ): ErrorOutcome {
    let added: readonly RawHeader[] = this.#settings.addedHeaders
    try {
      added = this.#added(context)
    } catch {
      // The error reply matters more than the headers that the application would add to it.
    }
    return { kind: 'error', ...facts, headers: [...this.#copied(record), ...added] }
  }

  #copied(request: IncomingRecord): readonly RawHeader[] {
    let headers: RawHeader[] | undefined
    for (const name of this.#settings.copyHeaders) {
      const value = lastHeader(request.headers, name)
      if (value !== undefined) (headers ??= []).push([name, value])
    }
    return headers ?? none
  }

  #added(context: HandlerContext | undefined): readonly RawHeader[] {
    const { addedHeaders, makeHeaders, reserved } = this.#settings
    if (makeHeaders === undefined || context === undefined) return addedHeaders
    const made = encodeHeaders(makeHeaders(context))
    reserved.refuse(made)
    return [...addedHeaders, ...made]
  }
}

/** The headers of the record that carries this outcome to whoever asked. */
export function replyHeaders(
  profile: WireProfile,
  request: readonly RawHeader[],
  correlationId: Buffer,
  outcome: ReplyOutcome | ErrorOutcome,
): RawHeader[] {
  const correlation = profile.echoHeader?.(request) ?? profile.correlationHeader(correlationId)
  const further = profile.replyHeaders ?? none
  if (outcome.kind === 'error') {
    const errors = profile.errorHeaders?.(outcome) ?? none
    return [...(outcome.headers ?? none), correlation, ...further, ...errors, ...errorHeaders(outcome)]
  }
  // A list that grows has room for sixteen more.
  if (outcome.headers.length + further.length === 0) return [correlation]
  return [...outcome.headers, correlation, ...further]
}
