/** Headers beside a request's own: what the requester's `headers` says of it, and what subscribers of tracing have added. */
import { MessageHeaders, type RawHeader } from '../wire/headers.ts'
import type { ReservedHeaders } from '../wire/reserved-headers.ts'
import type { RequesterSettings } from './options.ts'
import type { PendingReply } from './pending.ts'
import { applicationHeaders, tryOrRefuse } from './read-options.ts'

const none: readonly RawHeader[] = []

export interface FurtherHeadersOptions {
  readonly settings: Pick<RequesterSettings, 'headers'>
  readonly reserved: ReservedHeaders
  /** Told what subscribers of tracing have done wrong. */
  warn(thrown: unknown): void
}

export class FurtherHeaders {
  readonly #options: FurtherHeadersOptions

  constructor(options: FurtherHeadersOptions) {
    this.#options = options
  }

  /**
   * @param correlationId of a one-way request none
   * @throws OptionsError of what `headers` throws or gives
   */
  of(
    pending: PendingReply,
    correlationId: Buffer | undefined,
    trace: { readonly headers: readonly RawHeader[] } | undefined,
  ): readonly RawHeader[] {
    const traced = trace === undefined ? none : this.#traced(trace)
    const { headers } = this.#options.settings
    if (headers === undefined) return traced
    const { operation, request, key, headers: own } = pending
    const outgoing = {
      operation: operation.name,
      topic: operation.topic,
      request,
      key,
      headers: new MessageHeaders(own),
      correlationId: correlationId?.toString('hex'),
    }
    const given = tryOrRefuse(operation, 'headers', () => headers(outgoing))
    if (given === undefined) return traced
    return [...applicationHeaders(operation, given, this.#options.reserved), ...traced]
  }

  /** What is wrong with those that subscribers have added is told, and is no fault of the request. */
  #traced({ headers }: { readonly headers: readonly RawHeader[] }): readonly RawHeader[] {
    const { reserved } = this.#options
    try {
      return [...headers].filter((header) => {
        const usable = isHeader(header) && !reserved.has(header[0])
        if (!usable) this.#options.warn(new TypeError('something that is no header, or one of ours'))
        return usable
      })
    } catch (thrown) {
      this.#options.warn(thrown)
      return none
    }
  }
}

function isHeader(header: unknown): header is RawHeader {
  if (!Array.isArray(header)) return false
  const [name, value] = header as readonly unknown[]
  return Buffer.isBuffer(name) && (value === null || Buffer.isBuffer(value))
}
