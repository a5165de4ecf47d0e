import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RawHeader } from '@milena/request-reply'
import { decodeReply, encodeReply } from '../src/relay-message.ts'

const headers: RawHeader[] = [
  [Buffer.from('kafka_correlationId'), Buffer.alloc(16, 7)],
  [Buffer.from('empty'), Buffer.alloc(0)],
  [Buffer.from('none'), null],
]

test('a reply comes out of its message as it went in', () => {
  for (const value of [null, Buffer.alloc(0), Buffer.from('{"a":1}'), Buffer.alloc(100_000, 1)]) {
    assert.deepEqual(decodeReply(encodeReply({ value, headers })), { value, headers })
  }
  assert.deepEqual(decodeReply(encodeReply({ value: null, headers: [] })), { value: null, headers: [] })
})

test('a message that is cut, longer, or of another version is refused, wherever it is cut', () => {
  const message = encodeReply({ value: Buffer.from('value'), headers })
  for (let length = 0; length < message.length; length++)
    assert.throws(() => decodeReply(message.subarray(0, length)), RangeError, `${length} bytes`)
  assert.throws(() => decodeReply(Buffer.concat([message, Buffer.alloc(1)])), /1 bytes are left over/)
  assert.throws(() => decodeReply(Buffer.concat([Buffer.of(2), message.subarray(1)])), /version 2/)
  const negative = Buffer.from(message)
  negative.writeInt32BE(-2, 1)
  assert.throws(() => decodeReply(negative), /a length of -2/)
})
