/** An open load of exchanges: each goes out at its own time, however long the others take. */
import type { HttpAnswer, JsonClient } from '@milena/hosting'
import { exponential } from '@milena/request-reply'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { directions, foreignCurrencies } from '../operations.ts'
import type { Exchange } from '../schemas.ts'

export interface Load {
  readonly client: JsonClient
  readonly exchanges: number
  /** A second. */
  readonly rate: number
  readonly customers: readonly string[]
  /** Begins every exchange's id. */
  readonly idPrefix: string
  /** Called before each is sent, with how many were. */
  readonly onSend: (sent: number) => void
}

/** What callers were told. */
export interface Answers {
  readonly done: Set<string>
  readonly undone: Set<string>
  /** Nobody answered in time, however often it was asked. */
  readonly unanswered: Set<string>
  /** Times that a caller asked again, under the same id. */
  askedAgain: number
  /** Milliseconds from when each was to go out until its caller knew, by what he was told. */
  readonly waits: { readonly done: number[]; readonly undone: number[] }
}

/** Milliseconds that an answer is waited for before it is asked again, and altogether. */
const answerTimeout = 10_000
const patience = 300_000
/** Milliseconds before it is asked again: full jitter, so that a service that comes back is not asked by all at once. */
const pauses = exponential({ first: 400, most: 4_000 })
/** Callers that wait; beyond that the load waits too. */
const mostOpen = 300

export async function runLoad(load: Load, answers: Answers): Promise<void> {
  const { client, exchanges, rate, customers, idPrefix, onSend } = load
  const open = new Set<Promise<void>>()
  const began = performance.now()
  for (let index = 0; index < exchanges; index++) {
    const due = began + (index * 1000) / rate
    const wait = due - performance.now()
    if (wait > 1) await sleep(wait)
    if (open.size >= mostOpen) await Promise.race(open)
    onSend(index)
    const one = ask(`${idPrefix}${index}`, due).finally(() => open.delete(one))
    open.add(one)
  }
  await Promise.all(open)

  async function ask(exchangeId: string, due: number): Promise<void> {
    const body = {
      exchangeId,
      direction: oneOf(directions),
      customerId: oneOf(customers),
      currency: oneOf(foreignCurrencies),
      amount: someAmount(),
    }
    const call = { method: 'POST', path: '/exchanges', body, timeout: answerTimeout } as const
    for (let tries = 1; performance.now() - due < patience; tries++) {
      const answer = await client.call(call).catch((): HttpAnswer | undefined => undefined)
      if (answer?.status === 200 || answer?.status === 422) {
        const told = answer.status === 200 ? 'done' : 'undone'
        answers[told].add((answer.body as Exchange).exchangeId)
        answers.waits[told].push(performance.now() - due)
        return
      }
      answers.askedAgain++
      await sleep(pauses(tries, Math.random))
    }
    answers.unanswered.add(exchangeId)
  }
}

function oneOf<One>(list: readonly One[]): One {
  return list[Math.floor(Math.random() * list.length)]!
}

/** In cents, or yen. */
function someAmount(): number {
  return 100 + Math.ceil(Math.random() * 50_000)
}
