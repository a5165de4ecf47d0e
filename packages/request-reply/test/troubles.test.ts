import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Troubles } from '../src/transport/troubles.ts'
import type { Trouble, TroubleKind } from '../src/transport/transport.ts'

const trouble = (kind: TroubleKind, since: number, message: string): Trouble => ({
  kind,
  since,
  error: new Error(message),
})

describe('the troubles of whoever reads', () => {
  test('began when they began, whatever is said of them later', () => {
    const troubles = new Troubles({})
    assert.equal(troubles.begin('coordinator', trouble('unreachable', 10, 'joining')), true)
    assert.equal(troubles.begin('coordinator', trouble('unreachable', 20, 'joining')), false)
    assert.equal(troubles.begin('coordinator', trouble('unreachable', 30, 'heartbeat')), true)
    assert.deepEqual(
      troubles.list.map(({ since, error }) => [since, error.message]),
      [[10, 'heartbeat']],
    )
    troubles.begin('coordinator', trouble('not-authorized', 40, 'heartbeat'))
    assert.equal(troubles.list[0]!.since, 40)
    troubles.end('coordinator')
    troubles.begin('coordinator', trouble('not-authorized', 50, 'heartbeat'))
    assert.equal(troubles.list[0]!.since, 50)
  })
})
