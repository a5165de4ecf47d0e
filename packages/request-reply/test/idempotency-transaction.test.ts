/** A handler’s effect and its stored outcome in one transaction. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplyError } from '../src/errors.ts'
import { idempotency } from '../src/idempotency/idempotency.ts'
import { memoryIdempotencyStore } from '../src/idempotency/memory-store.ts'
import type { IdempotencyStore, IdempotencyTransaction } from '../src/idempotency/store.ts'
import { Gates } from './asking.ts'
import { away, FaultyStore } from './idempotency-faults.ts'
import { keyed, pay, text } from './keyed.ts'
import { setUp } from './replying.ts'

/** A store whose transactions are a list that is taken over at the commit. */
function transactional(effects: string[]): IdempotencyStore<{ readonly ledger: string[] }> {
  const store = memoryIdempotencyStore()
  return {
    claim: (...given) => store.claim(...given),
    renew: (...given) => store.renew(...given),
    complete: (...given) => store.complete(...given),
    release: (...given) => store.release(...given),
    find: (...given) => store.find(...given),
    begin: async (): Promise<IdempotencyTransaction<{ readonly ledger: string[] }>> => {
      const ledger: string[] = []
      return {
        added: { ledger },
        complete: async (...given) => {
          const result = await store.complete(...given)
          if (result === 'completed') effects.push(...ledger.splice(0))
          return result
        },
        rollback: async () => void ledger.splice(0),
      }
    },
  }
}

test('in a transaction effect and stored outcome are there together, or not at all', async (t) => {
  const { asking, replier } = await setUp(t)
  const effects: string[] = []
  const store = new FaultyStore(transactional(effects))
  const shop = replier()
  shop.handle(
    pay,
    (order, { ledger }) => {
      ledger.push(order)
      if (order === 'declined') throw new ReplyError('DECLINED', 'not today')
      if (order === 'done') throw new ReplyError('DONE', 'and then some', { effect: 'done' })
      return order
    },
    { useRecords: [idempotency({ store, lease: 200 })] },
  )
  await shop.start()
  assert.equal((await asking.answerTo(text('tea'), keyed('1'))).text, 'tea')
  assert.equal((await asking.answerTo(text('declined'), keyed('2'))).error?.code, 'DECLINED')
  assert.equal((await asking.answerTo(text('done'), keyed('3'))).error?.code, 'DONE')
  assert.deepEqual(effects, ['tea', 'done'])
  // The commit is lost, or its answer: either way it is there once.
  for (const [key, when] of [
    ['4', 'before'],
    ['5', 'after'],
  ] as const) {
    let failures = 0
    store.fault = (step, now) => (step === 'commit' && now === when && failures++ === 0 ? away() : undefined)
    assert.equal((await asking.answerTo(text(when), keyed(key))).text, when)
    assert.equal(failures > 0, true)
  }
  assert.deepEqual(effects, ['tea', 'done', 'before', 'after'])
})

test('a failed transaction leaves nothing, and its failure is stored all the same', async (t) => {
  const { asking, replier } = await setUp(t)
  const effects: string[] = []
  let handled = 0
  const shop = replier()
  shop.handle(
    pay,
    (order, { ledger }) => {
      ledger.push(order)
      handled++
      throw new Error('a fault')
    },
    { useRecords: [idempotency({ store: transactional(effects) })] },
  )
  await shop.start()
  for (let i = 0; i < 2; i++)
    assert.equal((await asking.answerTo(text('tea'), keyed('1'))).error?.code, 'MILENA_HANDLER_FAILED')
  assert.equal(handled, 1)
  assert.deepEqual(effects, [])
})

test('a handler that outlasts its limit stores its reply all the same', async (t) => {
  const { asking, replier } = await setUp(t)
  const gates = new Gates()
  gates.shut('tea')
  const shop = replier({ handlerTimeout: 50 })
  const handler = async (order: string): Promise<string> => {
    await gates.pass(order)
    return `${order} ${gates.began.length}`
  }
  shop.handle(pay, handler, { useRecords: [idempotency({ store: memoryIdempotencyStore() })] })
  await shop.start()
  const asked = await asking.ask(text('tea'), keyed('order-1'))
  assert.equal((await asking.reply(asked)).error?.code, 'MILENA_HANDLER_TIMEOUT')
  gates.open('tea')
  await asking.conditions.until('its reply comes late', () => asking.repliesTo(asked).length === 2)
  assert.equal((await asking.answerTo(text('tea'), keyed('order-1'))).text, 'tea 1')
})
