/** Replies that are read before their request is registered, where a requester resumes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { springProfile } from '../src/wire/spring.ts'
import { echo, setUp, until, type Setup } from './requesting.ts'

const replies = { topic: 'replies', partition: 2 }
const idOf = (n: number): Buffer => Buffer.alloc(16, n)

async function answerBefore(setup: Setup, ids: readonly number[]): Promise<void> {
  const far = setup.broker.connect()
  for (const id of ids) {
    const headers = [springProfile.correlationHeader(idOf(id))]
    await far.send({ ...replies, key: null, value: Buffer.from(`reply ${id}`), headers })
  }
  await far.close()
  await until(() => setup.requester.stats().recordsRead === ids.length)
}

async function takeUp({ requester }: Setup, id: number): Promise<string> {
  const prepared = await requester.prepare(echo, Buffer.from('asked by my predecessor'))
  const { reply } = requester.register(prepared, { correlationId: idOf(id) })
  return reply.then(
    ({ value }) => String(value),
    (error: { code: string }) => error.code,
  )
}

test('a reply that is read before its request is registered again becomes its outcome', async () => {
  const setup = await setUp(undefined, { resumeFrom: [{ ...replies, offset: 0 }] })
  await answerBefore(setup, [1, 2])
  assert.equal(await takeUp(setup, 2), 'reply 2')
  assert.equal(await takeUp(setup, 1), 'reply 1')
  assert.equal(setup.requester.stats().foreign, 0)
})

test('no more of them are kept than requests are remembered; the oldest is foreign then', async () => {
  const setup = await setUp(undefined, { resumeFrom: [{ ...replies, offset: 0 }], remember: 2 })
  await answerBefore(setup, [1, 2, 3])
  assert.equal(setup.requester.stats().foreign, 1)
  assert.equal(await takeUp(setup, 3), 'reply 3')
  const forgotten = takeUp(setup, 1)
  await until(() => setup.requester.stats().pending === 1)
  await setup.clock.advance(5_000)
  assert.equal(await forgotten, 'MILENA_TIMEOUT')
})

test('without a place to resume from they are foreign, and nothing is kept', async () => {
  const setup = await setUp()
  await answerBefore(setup, [1])
  assert.equal(setup.requester.stats().foreign, 1)
})
