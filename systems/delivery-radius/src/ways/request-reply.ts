/** Request-reply: the system itself, as a caller over HTTP sees it. */
import { JsonClient } from '@milena/hosting'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Action, Kind } from '../domain/radius.ts'
import type { Trigger } from '../run/storm.ts'
import { listChanges, type ListedChange } from './changes-list.ts'
import type { Counters, Told, Way } from './way.ts'

/** Milliseconds between two looks at a trigger: by so much its end may be learned late. */
const pause = 50
const patience = 300_000

export interface TriggerState {
  readonly id: string
  readonly kind: Kind
  readonly action: Action
  readonly total: number
  readonly done: number
  readonly failed: number
  readonly unknown: number
  readonly state: 'running' | 'finished' | 'interrupted'
  /** Milliseconds from a change's request to its reply. */
  readonly p50: number
  readonly p99: number
}

export class RequestReply implements Way {
  readonly name = 'request-reply'
  readonly #clients: readonly JsonClient[]
  readonly #fired = new Map<string, Trigger>()
  readonly #turnedAway: Trigger[] = []

  constructor(requesters: readonly { readonly url: string }[]) {
    this.#clients = requesters.map(({ url }) => new JsonClient(url, 256))
  }

  /** The trigger that a change is of, by the change's id: it begins with the trigger's. */
  triggerOf(change: string): Trigger | undefined {
    return this.#fired.get(change.split(':')[0]!)
  }

  async fire(trigger: Trigger): Promise<void> {
    const { requester, kind, action, shops } = trigger
    const client = this.#clients[requester]!
    const id = await begin(client, { kind, action, shops })
    if (id === undefined) return void this.#turnedAway.push(trigger)
    this.#fired.set(id, trigger)
    const until = performance.now() + patience
    while (performance.now() < until) {
      // oxlint-disable-next-line no-await-in-loop -- until it is finished
      if ((await look(client, id)).state !== 'running') return
      // oxlint-disable-next-line no-await-in-loop
      await sleep(pause)
    }
  }

  async told(): Promise<ReadonlyMap<number, Told>> {
    const told = new Map<number, Told>()
    for (const { number, shops } of this.#turnedAway)
      told.set(number, { made: [], refused: [], failed: shops, unknown: [] })
    const listed = new Map<string, ListedChange[]>([...this.#fired.keys()].map((id) => [id, []]))
    for (const status of ['failed', 'unknown'] as const)
      // oxlint-disable-next-line no-await-in-loop -- one client
      for await (const one of listChanges(this.#clients[0]!, status)) listed.get(one.trigger)?.push(one)
    for (const [id, { number, shops }] of this.#fired) told.set(number, toTold(shops, listed.get(id)!))
    return told
  }

  /** There is nothing to wait for one another at. */
  async counters(): Promise<Counters> {
    return { deadlocks: 0, lockTimeouts: 0 }
  }

  close(): void {
    for (const client of this.#clients) client.close()
  }
}

/** What is not in the lists was made: so the requester says. */
function toTold(shops: readonly string[], listed: readonly ListedChange[]): Told {
  const not = new Set(listed.map(({ shop }) => shop))
  const which = (isIt: (one: ListedChange) => boolean): string[] =>
    listed.filter(isIt).map(({ shop }) => shop)
  return {
    made: shops.filter((shop) => !not.has(shop)),
    refused: which(isRefused),
    failed: which((one) => one.status === 'failed' && !isRefused(one)),
    unknown: which(({ status }) => status === 'unknown'),
  }
}

/** Whether the shop refused it by the rules; else something went wrong. */
export function isRefused({ status, code }: Pick<ListedChange, 'status' | 'code'>): boolean {
  return status === 'failed' && (code === 'ALREADY_ACTIVE' || code === 'NOT_ACTIVE')
}

/** Returns the trigger's id; `undefined` when it was turned away, and nothing was done. */
export async function begin(client: JsonClient, body: unknown): Promise<string | undefined> {
  const answer = await client.call({ method: 'POST', path: '/triggers', body, timeout: 60_000 })
  if (answer.status === 503) return undefined
  if (answer.status !== 202)
    throw new Error(`POST /triggers: ${answer.status} ${JSON.stringify(answer.body)}`)
  return (answer.body as { id: string }).id
}

export async function look(client: JsonClient, id: string): Promise<TriggerState> {
  const answer = await client.call({ method: 'GET', path: `/triggers/${id}`, timeout: 60_000 })
  if (answer.status !== 200)
    throw new Error(`GET /triggers/${id}: ${answer.status} ${JSON.stringify(answer.body)}`)
  return answer.body as TriggerState
}
