/** A number for what a reply says, so that two replies to one request can be compared when the first is long gone. */
import { crc32 } from 'node:zlib'

/** Up to here JavaScript is faster than a call out of it. */
const short = 64

/** Of a reply's value and error code: 32 bits. Different numbers are different replies; the same number hardly ever is. */
export function fingerprintOf(value: Buffer | null, errorCode: string | undefined): number {
  const content = value === null ? absent : value.length > short ? crc32(value) : hashOf(value)
  // Signed, since V8 keeps a list of such numbers as they are.
  return (errorCode === undefined ? content : crc32(errorCode, content)) | 0
}

const absent = 1

/** FNV-1a, by Fowler, Noll and Vo. */
function hashOf(bytes: Buffer): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < bytes.length; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193)
  return hash >>> 0
}
