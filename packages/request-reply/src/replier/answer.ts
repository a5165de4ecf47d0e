import { errorHeaders } from '../wire/milena.ts'
import { encodeHeaders, lastHeader, type RawHeader } from '../wire/headers.ts'
import type { ReplyAddress } from '../wire/profile.ts'
import type { IncomingRecord, OutgoingRecord } from '../transport/transport.ts'
import type { HandlerContext } from './context.ts'
import type { ReplierSettings } from './options.ts'

/** Whom to answer, and how: what was read of a request that can be answered. */
export interface Addressee {
  readonly record: IncomingRecord
  readonly correlationId: Buffer
  readonly address: ReplyAddress
  /** The handler's context, once the request has reached an operation. */
  readonly context: HandlerContext | undefined
}

/** A reply, ready to be sent. */
export interface Answer {
  readonly to: Addressee
  readonly operation: string | undefined
  readonly record: OutgoingRecord
  /** The code of an error reply. */
  readonly errorCode: string | undefined
}

/**
 * Writes reply records.
 *
 * Headers in this order: copied from the request, the application's, then our own; a reader takes the last of a name.
 * The key is the request's, as Spring does it since 3.3; an error reply has a null value.
 */
export class Answers {
  readonly #settings: ReplierSettings

  constructor(settings: ReplierSettings) {
    this.#settings = settings
  }

  /** @throws what the application's `replyHeaders` throws, or TypeError when it names a reserved header. */
  reply(to: Addressee, operation: string, value: Buffer | null): Answer {
    const headers = this.#copied(to.record)
    this.#add(headers, to.context)
    headers.push(this.#settings.profile.correlationHeader(to.correlationId))
    return { to, operation, record: recordFor(to, value, headers), errorCode: undefined }
  }

  /** @param plain leaves out copied headers and the application's: they were the trouble */
  error(to: Addressee, operation: string | undefined, code: string, message: string, plain = false): Answer {
    const headers: RawHeader[] = []
    if (!plain) {
      headers.push(...this.#copied(to.record))
      try {
        this.#add(headers, to.context)
      } catch {
        // The error reply matters more than the headers that the application would add to it.
      }
    }
    headers.push(
      this.#settings.profile.correlationHeader(to.correlationId),
      ...errorHeaders({ code, message }),
    )
    return { to, operation, record: recordFor(to, null, headers), errorCode: code }
  }

  #copied(request: IncomingRecord): RawHeader[] {
    const headers: RawHeader[] = []
    for (const name of this.#settings.copyHeaders) {
      const value = lastHeader(request.headers, name)
      if (value !== undefined) headers.push([name, value])
    }
    return headers
  }

  #add(headers: RawHeader[], context: HandlerContext | undefined): void {
    const { addedHeaders, makeHeaders, reserved } = this.#settings
    headers.push(...addedHeaders)
    if (makeHeaders === undefined || context === undefined) return
    const made = encodeHeaders(makeHeaders(context))
    reserved.refuse(made)
    headers.push(...made)
  }
}

function recordFor(to: Addressee, value: Buffer | null, headers: readonly RawHeader[]): OutgoingRecord {
  const { topic, partition } = to.address
  return { topic, partition, key: to.record.key, value, headers }
}
