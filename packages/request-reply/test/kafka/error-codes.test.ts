import assert from 'node:assert/strict'
import { test } from 'node:test'
import { protocolErrors } from '@platformatic/kafka'
import { errorName, errorText, isRetriable, kafka } from '../../src/transport/kafka/protocol/error-codes.ts'

test('names, and what is retriable, are those of another client', () => {
  const theirs = Object.values(protocolErrors)
  assert.ok(theirs.length > 120)
  for (const { id, code, canRetry } of theirs) {
    assert.equal(errorName(code), `${id} (${code})`)
    assert.equal(isRetriable(code), canRetry, id)
  }
})

test('what the adapter decides on has the name it has with Kafka, and a text', () => {
  for (const [name, code] of Object.entries(kafka)) {
    const words = name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
    const kafkas = { INVALID_TOPIC: 'INVALID_TOPIC_EXCEPTION' }[words] ?? words
    assert.equal(errorName(code), `${kafkas} (${code})`)
    assert.doesNotMatch(errorText(code), /does not know$/)
  }
})

test('a code of later days has no name, and is not retried', () => {
  assert.equal(errorName(9_999), 'UNKNOWN (9999)')
  assert.equal(isRetriable(9_999), false)
  assert.match(errorText(9_999), /this client does not know/)
})
