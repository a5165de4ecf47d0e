/** A gift as it goes on, as server-sent events (HTML Living Standard, 9.2). */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Gifts } from './gifts.ts'
import type { Gift } from './schemas.ts'

/** Milliseconds between two looks: replies may be written down by any process of this service. */
const interval = 200
/** Milliseconds after which something is said though nothing is new, so that nobody takes it for dead. */
const silence = 15_000

/** The gift as it is, and again whenever its state has changed; ends with its end, or when `signal` fires. */
export async function* eventsOf(gifts: Gifts, id: string, signal: AbortSignal): AsyncGenerator<string> {
  let last: Gift['state'] | undefined
  let said = performance.now()
  while (!signal.aborted) {
    const gift = await gifts.find(id)
    if (gift === undefined) return
    if (gift.state !== last) {
      last = gift.state
      said = performance.now()
      yield `event: ${gift.state}\ndata: ${JSON.stringify(gift)}\n\n`
    } else if (performance.now() - said > silence) {
      said = performance.now()
      yield ': still so\n\n'
    }
    if (gift.state === 'sent' || gift.state === 'failed') return
    await sleep(interval, undefined, { signal }).catch(() => {})
  }
}
