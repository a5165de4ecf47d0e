import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitFor } from './wait-for.ts'

test('waitFor resolves with the first truthy answer', async () => {
  let looks = 0
  const answer = await waitFor(() => (++looks < 3 ? undefined : looks), { what: 'three looks', interval: 1 })
  assert.equal(answer, 3)
})

test('waitFor looks again after an error', async () => {
  let looks = 0
  const look = async (): Promise<string> => {
    if (++looks === 1) throw new Error('not there yet')
    return 'there'
  }
  assert.equal(await waitFor(look, { what: 'it', interval: 1 }), 'there')
})

test('waitFor fails with what it waited for and the last error', async () => {
  const cause = new Error('closed')
  const look = async (): Promise<boolean> => {
    throw cause
  }
  await assert.rejects(
    waitFor(look, { what: 'the door to open', timeout: 5, interval: 1 }),
    (error: Error) => {
      assert.match(error.message, /waited 5 ms for the door to open: the last try failed/)
      assert.equal(error.cause, cause)
      return true
    },
  )
})
