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
 * Nothing if the response is written; `'no-response'` if the client gets no answer at all (acks=0); `'close'` if the
 * connection is to be closed instead of an answer.
 */
export type Outcome = void | 'no-response' | 'close'

/**
 * One API of the protocol. A handler reads its request, from the first field of the body on, and writes the body of
 * its response; header, framing and correlation are not its concern.
 *
 * It may be asynchronous, to park a request. Requests of one connection are handled one at a time, in order, as in
 * Apache Kafka; other connections go on meanwhile. Buffers read from the request share the memory of a larger chunk
 * off the socket: they stay valid, but what is kept for long is better copied (`Buffer.from(bytes)`).
 *
 * An error of the protocol is a field of the response. A MalformedError closes the connection; any other exception
 * is a bug of the broker, is reported and closes the connection too.
 */
export interface ApiHandler {
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
   * Of ApiVersions only: versions that are not served reach the handler too, and the response's header is the oldest
   * one in all versions, so that any client can read it.
   */
  readonly negotiates?: true
  handle(request: Reader, response: Writer, call: Call): Outcome | Promise<Outcome>
}
