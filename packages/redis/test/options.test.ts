import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redisIdempotency, redisRelay, relayReplies } from '../src/index.ts'

test('options that cannot work are refused, all at once, misspelt names too', () => {
  const misspelt = { url: 'http://127.0.0.1', prfix: 'p' }
  for (const open of [
    () => redisIdempotency(misspelt),
    () => relayReplies(misspelt),
    () => redisRelay({ topic: 'replies', ...misspelt }),
  ])
    assert.throws(open, {
      code: 'MILENA_OPTIONS_INVALID',
      message: /there is no option prfix.*url must be redis:/s,
    })
})
