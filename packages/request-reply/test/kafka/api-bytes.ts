/** An API's bytes, without a connection. */
import type { Api } from '../../src/transport/kafka/protocol/api.ts'
import { Reader } from '../../src/transport/kafka/protocol/reader.ts'
import { Writer } from '../../src/transport/kafka/protocol/writer.ts'

/** The body of a request. */
export function requestBytes<Request>(api: Api<Request, unknown>, request: Request, version: number): Buffer {
  const writer = new Writer(version >= api.flexibleFrom)
  api.write(writer, request, version)
  return Buffer.concat(writer.finish())
}

/** What is read of an answer's body, its throttle time included. */
export function readAnswer<Answer>(api: Api<never, Answer>, bytes: Buffer, version: number): Answer {
  const reader = new Reader(bytes, version >= api.flexibleFrom)
  if (version >= api.throttledFrom) reader.int32()
  return api.read(reader, version)
}

/** The body of an answer, as `write` says, behind its throttle time. */
export function answerBytes(
  api: Api<never, unknown>,
  version: number,
  write: (to: Writer, version: number) => void,
): Buffer {
  const writer = new Writer(version >= api.flexibleFrom)
  if (version >= api.throttledFrom) writer.int32(0)
  write(writer, version)
  return Buffer.concat(writer.finish())
}

/** Every version that we speak. */
export function versionsOf({ versions: { oldest, newest } }: Api<never, unknown>): number[] {
  return Array.from({ length: newest - oldest + 1 }, (_, index) => oldest + index)
}
