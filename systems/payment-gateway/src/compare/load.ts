/** An open load of payments: each goes out at its own time, however long the others take. */
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HttpAnswer, JsonClient } from '@milena/hosting'
import { methods } from '../operations.ts'

export interface Load {
  /** The gateways that take payments now, in turn; asked for every payment. */
  readonly clients: () => readonly JsonClient[]
  readonly rate: number
  readonly count: number
  /** Begins every order's id. */
  readonly orderPrefix: string
  /** Milliseconds that an answer is waited for. */
  readonly timeout: number
  readonly onProgress: (sent: number) => void
}

export interface LoadResult {
  answered: number
  timedOut: number
  /** Neither: refused, or the connection broke. */
  other: number
  /** Milliseconds of each answered payment that were not the provider's, from when it was to go out. */
  readonly outsideProvider: number[]
}

export async function runLoad(load: Load): Promise<LoadResult> {
  const { rate, count, orderPrefix, timeout, onProgress } = load
  const result: LoadResult = { answered: 0, timedOut: 0, other: 0, outsideProvider: [] }
  const began = performance.now()
  const open: Promise<void>[] = []
  for (let index = 0; index < count; index++) {
    const due = began + (index * 1000) / rate
    const wait = due - performance.now()
    if (wait > 1) await sleep(wait)
    const clients = load.clients()
    open.push(send(clients[index % clients.length]!, index, due))
    onProgress(index + 1)
  }
  await Promise.all(open)
  return result

  async function send(client: JsonClient, index: number, due: number): Promise<void> {
    const body = {
      orderId: `${orderPrefix}${index}`,
      amount: 1_000 + index,
      method: methods[index % methods.length],
    }
    try {
      const answer = await client.call({ method: 'POST', path: '/payments', body, timeout })
      if (answer.status === 200 || answer.status === 402) {
        result.answered++
        result.outsideProvider.push(performance.now() - due - providerMs(answer))
      } else if (answer.status === 504) result.timedOut++
      else result.other++
    } catch {
      result.other++
    }
  }
}

function providerMs({ headers }: HttpAnswer): number {
  return Number(/provider;dur=([\d.]+)/.exec(String(headers['server-timing']))?.[1] ?? 0)
}
