/** The triggers of this requester: those that run, and the last that have finished. */
import { messageOf as wordsOf, unavailable } from '@milena/hosting'
import { isMilenaError, type LateReply, type MilenaError } from '@milena/request-reply'
import { randomUUID } from 'node:crypto'
import { changeOf, messageOf } from './outcome.ts'
import type { Change, TriggerRequest } from './schemas.ts'
import { Trigger, type TriggerParts } from './trigger.ts'

const mostRunning = 16
const mostKept = 1_000

export class Triggers {
  readonly #parts: TriggerParts
  /** In the order in which they began. */
  readonly #all = new Map<string, Trigger>()
  readonly #running = new Map<Trigger, Promise<void>>()
  #closing = false

  constructor(parts: TriggerParts) {
    this.#parts = parts
  }

  get(id: string): Trigger | undefined {
    return this.#all.get(id)
  }

  begin(request: TriggerRequest): Trigger {
    if (this.#closing) throw unavailable('closing')
    if (this.#running.size >= mostRunning) throw unavailable(`${mostRunning} triggers run already`)
    const trigger = new Trigger(randomUUID(), request)
    this.#all.set(trigger.id, trigger)
    this.#forgetOld()
    const run = trigger
      .run(this.#parts)
      .catch((error: unknown) => console.error(`trigger ${trigger.id} has stopped: ${wordsOf(error)}`))
      .finally(() => this.#running.delete(trigger))
    this.#running.set(trigger, run)
    return trigger
  }

  /** Tries a failed change again. Returns how it stands then; `undefined` when it has not failed, or is being tried. */
  async retry(failed: Change): Promise<Change | undefined> {
    const { requester, operation, store } = this.#parts
    if (this.#closing) throw unavailable('closing')
    if (!(await store.take(failed.id))) return undefined
    const message = messageOf(failed.trigger, failed.shop, failed)
    const error = await requester.request(operation, message).then(() => undefined, orThrow)
    await store.put(changeOf(message, error))
    await store.written()
    return store.find(failed.id)
  }

  /** A reply has come to a change that was given up. */
  async takeLate(late: LateReply): Promise<void> {
    const { operation, store } = this.#parts
    if (!late.of(operation)) return
    const change = changeOf(late.request, late.error)
    await store.put(change)
    this.#all.get(change.trigger)?.takeLate(change)
  }

  /** Asks for no more changes, and resolves when those that were asked for have their outcomes. */
  async close(): Promise<void> {
    this.#closing = true
    for (const trigger of this.#running.keys()) trigger.stop()
    await Promise.all(this.#running.values())
  }

  #forgetOld(): void {
    for (const { id, finished } of this.#all.values()) {
      if (this.#all.size <= mostKept) return
      if (finished) this.#all.delete(id)
    }
  }
}

function orThrow(error: unknown): MilenaError {
  if (isMilenaError(error)) return error
  throw error
}
