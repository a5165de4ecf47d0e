/** A number for what a reply says, so that two replies to one request can be compared when the first is long gone. */
import zlib from 'node:zlib'

/** Up to here JavaScript is faster than a call out of it: 200 bytes take half as long. */
const short = 512

/** Of a reply's value and error code: 32 bits. Different numbers are different replies; the same number hardly ever is. */
export function fingerprintOf(value: Buffer | null, errorCode: string | undefined): number {
  const content = value === null ? absent : value.length > short ? zlib.crc32(value) : hashOf(value)
  // Signed, since V8 keeps a list of such numbers as they are.
  return (errorCode === undefined ? content : zlib.crc32(errorCode, content)) | 0
}

const absent = 1

/** Two sums side by side, each of every other four bytes: neither waits for the other's multiplications. */
function hashOf(bytes: Buffer): number {
  const { length } = bytes
  let even = length
  let odd = 0x9747b28c
  let at = 0
  for (; at + 8 <= length; at += 8) {
    even = mixed(even, wordAt(bytes, at), 0x5bd1e995)
    odd = mixed(odd, wordAt(bytes, at + 4), 0x1b873593)
  }
  for (; at < length; at++) even = mixed(even, bytes[at]!, 0x01000193)
  return (even ^ Math.imul(odd, 0x85ebca6b)) >>> 0
}

/** Another word, another sum: each step can be undone. */
function mixed(sum: number, word: number, odd: number): number {
  const product = Math.imul(sum ^ word, odd)
  return product ^ (product >>> 15)
}

function wordAt(bytes: Buffer, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
}
