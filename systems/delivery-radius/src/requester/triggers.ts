/** The triggers of this requester: those that run, and the last that have finished. */
import { isAway, messageOf as wordsOf, unavailable } from '@milena/hosting'
import { isMilenaError, type LateReply, type MilenaError } from '@milena/request-reply'
import { randomUUID } from 'node:crypto'
import { changeOf, messageOf } from './outcome.ts'
import type { Change, Progress, TriggerRequest } from './schemas.ts'
import type { TriggerStore } from './trigger-store.ts'
import { Trigger, type TriggerParts } from './trigger.ts'

const mostRunning = 16
const mostKept = 1_000
/** Milliseconds between two notes of how far a trigger is. */
const noting = 1_000

export class Triggers {
  readonly #parts: TriggerParts
  readonly #store: TriggerStore
  /** In the order in which they began. */
  readonly #all = new Map<string, Trigger>()
  readonly #running = new Map<Trigger, Promise<void>>()
  #closing = false

  constructor(parts: TriggerParts, store: TriggerStore) {
    this.#parts = parts
    this.#store = store
  }

  /** How far it is; of one that another requester runs, or has run, what that one has noted. */
  async progress(id: string): Promise<Progress | undefined> {
    return this.#all.get(id)?.progress() ?? (await this.#store.find(id))
  }

  /** Resolves when it runs, and whoever asks for it is told so, whatever becomes of this process. */
  async begin(request: TriggerRequest): Promise<Trigger> {
    if (this.#closing) throw unavailable('closing')
    if (this.#running.size >= mostRunning) throw unavailable(`${mostRunning} triggers run already`)
    const trigger = new Trigger(randomUUID(), request, this.#store.requester)
    // It runs only when that is certain: else nobody would be told of it, and no shop is changed.
    const noted = this.#store.begin(trigger.progress()).catch((error: unknown) => {
      throw isAway(error) ? unavailable('the trigger could not be noted: nothing was begun') : error
    })
    const run = noted.then(() => this.#run(trigger)).finally(() => this.#running.delete(trigger))
    run.catch(() => {})
    this.#running.set(trigger, run)
    await noted
    this.#all.set(trigger.id, trigger)
    this.#forgetOld()
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
    const trigger = this.#all.get(change.trigger)
    trigger?.takeLate(change)
    if (trigger !== undefined && trigger.state !== 'running') await this.#note(trigger)
  }

  /** Asks for no more changes, and resolves when those that were asked for have their outcomes. */
  async close(): Promise<void> {
    this.#closing = true
    for (const trigger of this.#running.keys()) trigger.stop()
    await Promise.all(this.#running.values())
  }

  async #run(trigger: Trigger): Promise<void> {
    const timer = setInterval(() => void this.#note(trigger), noting)
    try {
      await trigger.run(this.#parts)
    } catch (error) {
      console.error(`trigger ${trigger.id} has stopped: ${wordsOf(error)}`)
    } finally {
      clearInterval(timer)
      await this.#note(trigger)
    }
  }

  /** One that fails is made up for by the next, or by what this process says for itself. */
  async #note(trigger: Trigger): Promise<void> {
    await this.#store
      .note(trigger.progress())
      .catch((error: unknown) => console.error(`trigger ${trigger.id} could not be noted: ${wordsOf(error)}`))
  }

  #forgetOld(): void {
    for (const { id, state } of this.#all.values()) {
      if (this.#all.size <= mostKept) return
      if (state !== 'running') this.#all.delete(id)
    }
  }
}

function orThrow(error: unknown): MilenaError {
  if (isMilenaError(error)) return error
  throw error
}
