import type { Broker } from '../broker.ts'
import type { Reader } from '../wire/reader.ts'
import type { Writer } from '../wire/writer.ts'

/** What a handler knows about the request besides its fields. */
export interface Call {
  readonly broker: Broker
  /** The version of the request and of its response; always one that the handler serves. */
  readonly version: number
  /** As the client names itself in the request's header; empty if it does not. */
  readonly clientId: string
  /** The client's address, as DescribeGroups shows it. */
  readonly clientHost: string
  /** Aborted when the connection closes or the broker does: a parked request lets go of what it holds and returns. */
  readonly signal: AbortSignal
}

/**
 * What a client gets: an answer, written when it is known, a large one in turns; nothing at all (acks=0); or the end of
 * its connection.
 */
export type Answer = ((response: Writer) => void) | WrittenInTurns | 'no-response' | 'close'

export type WrittenInTurns = (response: Writer) => Generator<void, void>

/** Elements of an answer that is small. */
const few = 100

/** An answer of so many elements, Infinity where that is not known: a small one does not wait for its turn. */
export function answerOf(elements: number, write: WrittenInTurns): Answer {
  if (elements > few) return write
  return (response) => {
    const steps = write(response)
    while (steps.next().done !== true);
  }
}

interface ApiFacts {
  /** The API's number (ApiKeys). */
  readonly key: number
  /** The API's name in the protocol, for reports. */
  readonly name: string
  readonly minVersion: number
  readonly maxVersion: number
  /** Lowest version that ApiVersions tells, if it is lower than what is served. */
  readonly advertisedMinVersion?: number
  /** The first version in the flexible encoding (KIP-482); Infinity if there is none. */
  readonly flexibleFrom: number
  /**
   * Of ApiVersions only: versions that are not served reach it too, and the response's header is the oldest one in all
   * versions, so that any client can read it.
   */
  readonly negotiates?: true
}

/**
 * One API of the protocol, in two steps: `read` takes the whole body off the request and does nothing else, `serve`
 * does what is asked and says what is written. So a request that is cut off, or followed by what does not belong to
 * it, has no effect. Header, framing and correlation are not an API's concern.
 *
 * `serve` may be asynchronous, to park a request. Requests of one connection are handled one at a time, in order, as in
 * Apache Kafka; other connections go on meanwhile. Buffers read from the request share the memory of a larger chunk
 * off the socket: they stay valid, but what is kept for long is better copied (`Buffer.from(bytes)`).
 *
 * An error of the protocol is a field of the response. A MalformedError closes the connection; any other exception
 * is a bug of the broker, is reported and closes the connection too.
 */
export interface ApiDefinition<Request> extends ApiFacts {
  read(request: Reader, version: number): Request
  serve(request: Request, call: Call): Answer | Promise<Answer>
}

/** An API as the connections use it: what `begin` returns does what was read. */
export interface ApiHandler extends ApiFacts {
  begin(request: Reader, version: number): (call: Call) => Answer | Promise<Answer>
}

export function defineApi<Request>(api: ApiDefinition<Request>): ApiHandler {
  return {
    ...api,
    begin(reader, version) {
      const request = api.read(reader, version)
      reader.end()
      return (call) => api.serve(request, call)
    },
  }
}
