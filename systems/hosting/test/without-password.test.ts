/** No message shows a password. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkReachable } from '../src/broker/reachable.ts'
import { withoutPassword } from '../src/index.ts'

for (const [url, shown] of [
  ['postgres://me:secret@db:5432/x', 'postgres://me:***@db:5432/x'],
  ['postgres://me:se/cr@et@db:5432/x', 'postgres://me:***@db:5432/x'],
  ['me:secret@db/x', 'me:***@db/x'],
  [
    'postgres://db/x?user=me&password=secret&sslpassword=secret',
    'postgres://db/x?user=me&password=***&sslpassword=***',
  ],
  ['postgres://me@db:5432/x', 'postgres://me@db:5432/x'],
  ['postgres://db:5432/x', 'postgres://db:5432/x'],
] as const) {
  test(`of ${url} is shown ${shown}`, () => assert.equal(withoutPassword(url), shown))
}

test('brokers with a password are refused without it', () =>
  assert.rejects(
    checkReachable('sasl://me:secret@kafka:9092'),
    (error: Error) => !error.message.includes('secret'),
  ))
