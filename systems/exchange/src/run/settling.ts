/** After the load: everything that is under way comes to its end, and the auditor looks at it. */
import { JsonClient } from '@milena/hosting'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Audit } from '../audit/main.ts'
import type { ExchangeSystem } from '../system.ts'
import type { Letters } from './letters.ts'

/** Milliseconds that everything may take to come to rest. */
const patience = 180_000
/** Milliseconds between two looks. */
const pause = 500
/** Milliseconds until what was held back, or is written a second time, has come: see `interference` and `lateMs`. */
const stragglers = 5_000

/** Replays what was dead-lettered, until no exchange is half done, or for as long as it waits for that. */
export async function settle(
  system: ExchangeSystem,
  letters: Letters,
  onProgress: (open: number) => void,
): Promise<void> {
  const client = new JsonClient(system.urlOf('exchange'), 1)
  const began = performance.now()
  try {
    for (;;) {
      await letters.replay()
      const open = await countOpen(client)
      onProgress(open ?? 0)
      if (open === 0 || performance.now() - began > patience) break
      await sleep(pause)
    }
  } finally {
    client.close()
  }
  await sleep(stragglers)
}

/** Exchanges that are neither done nor undone; `undefined` when nobody says. */
export async function countOpen(client: JsonClient): Promise<number | undefined> {
  const answer = await client.call({ method: 'GET', path: '/stats', timeout: 5_000 }).catch(() => undefined)
  if (answer?.status !== 200) return undefined
  const { sagas } = answer.body as {
    sagas: { readonly running: number; readonly compensating: number }
  }
  return sagas.running + sagas.compensating
}

export async function audit(system: ExchangeSystem): Promise<Audit> {
  return ask(system.auditorUrl, 'GET', '/audit')
}

/** A last look, at every exchange too. */
export async function settlement(system: ExchangeSystem): Promise<Audit> {
  return ask(system.auditorUrl, 'POST', '/settlement')
}

async function ask(url: string, method: 'GET' | 'POST', path: string): Promise<Audit> {
  const client = new JsonClient(url, 1)
  try {
    const { status, body } = await client.call({ method, path, timeout: 60_000 })
    if (status !== 200) throw new Error(`the auditor answers ${status}: ${JSON.stringify(body)}`)
    return body as Audit
  } finally {
    client.close()
  }
}
