import { test } from 'node:test'
import { z } from 'zod'
import { defineOperation } from '../src/contract/operation.ts'
import { defineSaga, type Saga } from '../src/saga/definition.ts'
import { createSagas } from '../src/saga/open-sagas.ts'
import type { Sagas } from '../src/saga/sagas.ts'
import type { SagaStore } from '../src/saga/store.ts'
import { command, inTransaction, operation } from '../src/saga/work.ts'

interface Client {
  query(text: string): Promise<unknown>
}

const reserve = defineOperation({
  name: 'reserve',
  topic: 'reserve',
  request: z.object({ amount: z.number() }),
  reply: z.object({ id: z.string() }),
})

test('steps know the input, the earlier results, and the transaction that they need', () => {
  const saga = defineSaga({ name: 'order', input: z.object({ amount: z.coerce.number() }) })
    .step('hold', async ({ input, idempotencyKey }) => ({ hold: input.amount, key: idempotencyKey }), {
      compensate: ({ result }) => result?.hold.toFixed(),
    })
    .step(
      'reserve',
      operation(reserve, ({ results }) => ({ amount: results.hold.hold })),
      {
        compensate: command(
          ({ input }) => (input.amount > 0 ? reserve : reserve),
          ({ result, results }) => ({ amount: results.hold.hold + Number(result) }),
          { replyTo: ({ input }) => (input.amount > 0 ? 'a' : 'b') },
        ),
      },
    )
    .step(
      'book',
      inTransaction(async ({ results }, transaction: Client) => {
        await transaction.query(results.reserve.id)
        return 7
      }),
      {
        compensate: inTransaction(({ result }, transaction: Client) => transaction.query(String(result))),
      },
    )
  const typed: Saga<
    { amount: unknown },
    { amount: number },
    { hold: { hold: number; key: string }; reserve: { id: string }; book: number },
    Client
  > = saga
  void typed
  // @ts-expect-error -- no such result
  saga.step('bad', ({ results }) => results.nothing)
  defineSaga({ name: 'x' }).step(
    'a',
    // @ts-expect-error -- the request has no amount
    operation(reserve, () => ({ nothing: 1 })),
  )
})

test('a saga runs only on a store whose transactions are what its steps need', () => {
  const needs = defineSaga({ name: 'x' }).step(
    'a',
    inTransaction((_, transaction: Client) => transaction.query('')),
  )
  const check = (store: SagaStore<Client>, other: SagaStore<string>): void => {
    createSagas({ store, sagas: [needs] })
    // @ts-expect-error -- its transaction is a string
    createSagas({ store: other, sagas: [needs] })
  }
  void check
  const runs = async (sagas: Sagas): Promise<void> => {
    const run = await sagas.run(needs, 'id', 1)
    const { results } = await run.decided
    const result: unknown = results?.a
    void result
    // @ts-expect-error -- no such step
    void results?.b
  }
  void runs
})
