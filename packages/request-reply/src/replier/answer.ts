import type { Encoded } from '../contract/coding.ts'
import { refuseUnless } from '../given.ts'
import { errorHeaders, groupHeader, wantsManyReplies } from '../wire/milena.ts'
import type { WireProfile } from '../wire/profile.ts'
import type { RawHeader } from '../wire/headers.ts'
import type { IncomingRecord, OutgoingRecord } from '../transport/transport.ts'
import type { Addressee } from './addressee.ts'
import type { HandlerContext } from './context.ts'
import type { ReplierSettings } from './options.ts'
import type { Handling } from './dispatch.ts'
import type { ErrorOutcome, ReplyOutcome } from './outcome.ts'
import { ChosenHeaders } from './reply-headers.ts'

const none: readonly RawHeader[] = []

/**
 * Writes reply records.
 *
 * Headers in this order: those that the application chooses (`reply-headers.ts`), the codec's, then our own; a reader takes
 * the last of a name.
 * A request that wants several replies is told which group each comes from.
 * The key is the request's, as Spring does it since 3.3; an error reply has a null value.
 */
export class Answers {
  readonly #settings: ReplierSettings
  readonly #group: RawHeader | undefined
  readonly #chosen: ChosenHeaders

  constructor(settings: ReplierSettings) {
    this.#settings = settings
    this.#chosen = new ChosenHeaders(settings.chosenHeaders, settings.reserved)
    this.#group = groupHeader(settings.groupId)
  }

  /** The record of a reply. @param withKey false leaves the request's key out: it was the trouble */
  write(to: Addressee, outcome: ReplyOutcome | ErrorOutcome, withKey = true): OutgoingRecord {
    const { topic, partition } = to.address
    const headers = replyHeaders(this.#settings.profile, to.record.headers, to.correlationId, outcome)
    if (this.#group !== undefined && wantsManyReplies(to.record.headers)) headers.push(this.#group)
    const value = outcome.kind === 'reply' ? outcome.value : null
    return { topic, partition, key: withKey ? to.record.key : null, value, headers }
  }

  /** @throws what the application's `replyHeaders` throws; TypeError when it, or the codec, names a reserved header. */
  reply(
    record: IncomingRecord,
    context: HandlerContext | undefined,
    handling: Handling | undefined,
    encoded: Encoded,
  ): ReplyOutcome {
    const chosen = this.#chosen.of(record, context, handling?.chosenHeaders, false)
    const { value, headers } = encoded
    if (headers.length > 0) this.#settings.reserved.refuse(headers)
    return { kind: 'reply', value, headers: headers.length === 0 ? chosen : [...chosen, ...headers] }
  }

  error(
    record: IncomingRecord,
    context: HandlerContext | undefined,
    handling: Handling | undefined,
    facts: Omit<ErrorOutcome, 'kind' | 'headers'>,
  ): ErrorOutcome {
    return {
      kind: 'error',
      ...facts,
      headers: this.#chosen.of(record, context, handling?.chosenHeaders, true),
    }
  }
}

/**
 * The headers of the record that carries this outcome to whoever asked.
 *
 * @throws OptionsError of what is no profile, no headers, no correlation id and no outcome that is sent
 */
export function replyHeaders(
  profile: WireProfile,
  request: readonly RawHeader[],
  correlationId: Buffer,
  outcome: ReplyOutcome | ErrorOutcome,
): RawHeader[] {
  const of = 'replyHeaders'
  refuseUnless(typeof Object(profile).correlationHeader === 'function', of, 'profile must be one', profile)
  refuseUnless(Array.isArray(request), of, 'request must be a list of headers', request)
  refuseUnless(Buffer.isBuffer(correlationId), of, 'correlationId must be a Buffer', correlationId)
  refuseUnless(isSent(outcome), of, 'outcome must be a reply or an error, whole', outcome)
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

function isSent(outcome: unknown): boolean {
  const { kind, headers, code, message } = Object(outcome) as Readonly<Record<string, unknown>>
  if (kind === 'reply') return Array.isArray(headers)
  return kind === 'error' && typeof code === 'string' && typeof message === 'string'
}
