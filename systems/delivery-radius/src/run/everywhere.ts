/** Triggers over all shops, several at once from several requesters, while workers are killed. */
import { JsonClient } from '@milena/hosting'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Action, Kind } from '../domain/radius.ts'
import type { RunOptions } from '../options.ts'
import type { DeliverySystem, Service } from '../system.ts'
import { begin, look, type TriggerState } from '../ways/request-reply.ts'
import { bar } from './bar.ts'
import { UsageWatch, type Memory, type Usage } from './usage.ts'

export interface Everywhere {
  readonly triggers: readonly TriggerState[]
  readonly changes: number
  /** Milliseconds until every change had its outcome. */
  readonly took: number
  readonly kills: number
  readonly usage: Usage
  readonly memory: readonly Memory[]
}

/** They hit the same shops at once: what a shop is in the end depends on which came first there. */
const sequence = [
  { kind: 'rider-shortage', action: 'begin' },
  { kind: 'bad-weather', action: 'begin' },
  { kind: 'system-failure', action: 'begin' },
  { kind: 'bad-weather', action: 'end' },
  { kind: 'rider-shortage', action: 'end' },
  { kind: 'system-failure', action: 'end' },
] as const satisfies readonly { readonly kind: Kind; readonly action: Action }[]

/** Milliseconds that a change waits for its reply: longer than a busy machine takes to start a worker again. */
const timeout = 300_000
/** Milliseconds between two looks at how it goes. */
const interval = 200
/** Milliseconds without any outcome after which it is given up. */
const patience = 180_000

export async function changeAll(
  system: DeliverySystem,
  { shops, triggers, kills, workers }: RunOptions,
  brokers: string | undefined,
  show: (step: string, detail?: string) => void,
): Promise<Everywhere> {
  const step = `${triggers} ${triggers === 1 ? 'trigger' : 'triggers'} over ${shops} shops`
  show(step)
  const clients = system.requesters.map(({ url }) => new JsonClient(url, 4))
  const watch = new UsageWatch(brokers)
  const began = performance.now()
  try {
    const fired = await Promise.all(
      Array.from({ length: triggers }, async (_, index) => {
        const client = clients[index % clients.length]!
        const change = sequence[index % sequence.length]!
        const id = await begin(client, { ...change, shops: { from: 1, to: shops }, timeout })
        if (id === undefined) throw new Error('a trigger over all shops was turned away')
        return { client, id, ...change }
      }),
    )
    const total = triggers * shops
    let killed = 0
    let quarters = 0
    let last = { ended: 0, at: began }
    for (;;) {
      const states = await Promise.all(fired.map(({ client, id }) => look(client, id)))
      const ended = states.reduce((sum, { done, failed, unknown }) => sum + done + failed + unknown, 0)
      const now = performance.now()
      if (ended > last.ended) last = { ended, at: now }
      const most = Math.round(Math.max(0, ...watch.memory.map((one) => one.most)))
      const rate = Math.round((ended * 1_000) / (now - began))
      show(
        step,
        ` ${bar(ended / total)} ${ended} of ${total}, ${rate} changes/s, requester at most ${most} MiB` +
          (kills === 0 ? '' : `, ${killed} workers killed`),
      )
      for (; ended >= (total * (quarters + 1)) / 4; quarters++) watch.mark()
      if (states.every(({ state }) => state !== 'running')) {
        const usage = watch.end()
        return {
          triggers: states,
          changes: total,
          took: now - began,
          kills: killed,
          usage,
          memory: watch.memory,
        }
      }
      if (now - last.at > patience) throw new Error(`no change has ended for ${patience / 1_000} s`)
      if (killed < kills && ended >= (total * (killed + 1)) / (kills + 1)) {
        watch.sample()
        killed += killOne(system, killed, workers)
      }
      await sleep(interval)
    }
  } finally {
    watch.stop()
    for (const client of clients) client.close()
  }
}

/** One after the other has its turn; one that is away is not killed again. */
function killOne(system: DeliverySystem, turn: number, workers: number): number {
  const victim: Service = `worker-${1 + (turn % workers)}`
  if (!system.isUp(victim)) return 0
  system.kill(victim)
  return 1
}
