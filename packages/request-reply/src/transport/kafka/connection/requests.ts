/** Puts a request into bytes: INT32 with the length, a header (version 1, or 2 where the API is flexible), a body. */
import type { Api } from '../protocol/api.ts'
import { Writer } from '../protocol/writer.ts'

/** Bytes of a request up to which it is put into one piece: cheaper than to have the operating system gather it. */
const SMALL = 16_384

export interface RequestHeader {
  readonly version: number
  readonly correlation: number
  readonly clientId: Buffer
}

/** In pieces, large parts of the body as they are: nobody may change these until they are on the wire. */
export function encodeRequest<Request>(
  api: Api<Request, unknown>,
  request: Request,
  { version, correlation, clientId }: RequestHeader,
): readonly Buffer[] {
  const flexible = version >= api.flexibleFrom
  const writer = new Writer(flexible)
  api.write(writer, request, version)
  const { length } = writer
  const body = writer.finish()
  const headLength = 14 + clientId.length + (flexible ? 1 : 0)
  const isSmall = headLength + length <= SMALL
  const head = Buffer.allocUnsafe(isSmall ? headLength + length : headLength)
  head.writeInt32BE(headLength - 4 + length, 0)
  head.writeInt16BE(api.key, 4)
  head.writeInt16BE(version, 6)
  head.writeInt32BE(correlation, 8)
  head.writeInt16BE(clientId.length, 12)
  head.set(clientId, 14)
  if (flexible) head[headLength - 1] = 0 // no tagged fields
  if (!isSmall) return [head, ...body]
  let at = headLength
  for (const piece of body) {
    head.set(piece, at)
    at += piece.length
  }
  return [head]
}
