/** What the caller of an exchange is told when nobody knows yet whether it takes place. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { createApp } from '@milena/hosting'
import { MilenaError, type Sagas } from '@milena/request-reply'
import type { ExchangeSaga } from '../src/exchange/exchange.ts'
import { addExchangeRoutes } from '../src/exchange/routes.ts'

const asked = { direction: 'BUY', customerId: 'c', currency: 'USD', amount: 100 }
const closed = new MilenaError('MILENA_CLOSED', 'closed')

/** @param run what becomes of every saga */
async function post(t: TestContext, run: Sagas['run'], payload: object): Promise<unknown[]> {
  const app = await createApp('Test', 'cut')
  t.after(() => app.close())
  addExchangeRoutes(app, { run } as Sagas, {} as ExchangeSaga, 50)
  const answer = await app.inject({ method: 'POST', url: '/exchanges', payload })
  const { code, exchangeId } = answer.json<{ code: string; exchangeId?: string }>()
  return [answer.statusCode, code, exchangeId]
}

function decidedBy(decided: Promise<never>): Sagas['run'] {
  return (_saga: unknown, id: string) => Promise.resolve({ id, begun: true, decided, ended: decided })
}

function failing(error: Error): Sagas['run'] {
  return () => Promise.reject(error)
}

test('what is not decided in time is told so, with the id to ask for', async (t) => {
  const never = new Promise<never>(() => {})
  const [status, code, exchangeId] = await post(t, decidedBy(never), asked)
  assert.deepEqual([status, code], [504, 'NOT_DECIDED'])
  assert.match(String(exchangeId), /^[0-9a-f-]{36}$/)
  assert.deepEqual(await post(t, () => never, { ...asked, exchangeId: 'e' }), [504, 'NOT_DECIDED', 'e'])
})

test('an exchange that a process leaves as it ends is not told as not begun', async (t) => {
  const left = Promise.reject(closed)
  left.catch(() => {})
  assert.deepEqual(await post(t, decidedBy(left), { ...asked, exchangeId: 'e' }), [504, 'NOT_DECIDED', 'e'])
})

test('an exchange of which a database does not say whether it is stored is unknown; one that it was never told of is not begun', async (t) => {
  const hung = failing(new Error('Query read timeout'))
  assert.deepEqual(await post(t, hung, { ...asked, exchangeId: 'e' }), [504, 'NOT_DECIDED', 'e'])
  const away = failing(Object.assign(new Error('refused'), { code: 'ECONNREFUSED', syscall: 'connect' }))
  for (const run of [away, failing(closed)])
    assert.deepEqual(await post(t, run, asked), [503, 'NOT_NOW', undefined])
})
