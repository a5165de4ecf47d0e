import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

/**
 * An API of Kafka's protocol in the versions that we speak: how a request is written, how its answer is read.
 *
 * Only the fields that somebody here gives or reads are in `Request` and `Answer`; a field that our version of the API
 * does not have is left out. Error codes in an answer are values: what they mean is the caller's to say.
 */
export interface Api<Request, Answer> {
  /** As Kafka's message definitions name it, such as `JoinGroup`. */
  readonly name: string
  readonly key: number
  /** All versions in between are spoken, too. */
  readonly versions: { readonly oldest: number; readonly newest: number }
  /** The first version with compact types and tagged fields (KIP-482), in body and header; `Infinity` for none. */
  readonly flexibleFrom: number
  /** The first version whose answers begin with `throttle_time_ms`; `Infinity` for none. */
  readonly throttledFrom: number
  /** Writes the body of a request, tagged fields at its end included. */
  write(to: Writer, request: Request, version: number): void
  /** Reads the body of an answer, behind its `throttle_time_ms` where it begins with one. Throws when it is none. */
  read(from: Reader, version: number): Answer
}
