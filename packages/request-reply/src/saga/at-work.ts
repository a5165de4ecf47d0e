import type { Warnings } from '../warnings.ts'
import type { ClaimedStore } from './claimed.ts'
import { Driver, type DriverHooks } from './driver.ts'
import type { SagasSettings } from './options.ts'
import type { ClaimedSaga } from './store.ts'

export type Drive = (driver: Driver) => Promise<void>

/** What the sagas at work tell. */
export interface AtWorkHooks extends DriverHooks {
  /** There is room again, and something waits for it. */
  room(): void
}

/**
 * The sagas that this process has claimed. One that is worked on is in `#working`, and only then; one that the store may
 * have in our name and that nobody works on, since an answer was lost or a driver has failed, is claimed anew.
 */
export class AtWork {
  readonly #settings: SagasSettings
  readonly #owner: string
  readonly #store: ClaimedStore
  readonly #warnings: Warnings
  readonly #hooks: AtWorkHooks
  readonly #working = new Map<string, Promise<void>>()
  /** Being begun or claimed: the store may have it in our name. */
  readonly #underWay = new Set<string>()
  /** Places among `concurrency` for those that are being begun. */
  #reserved = 0
  /** Whether the store may have sagas in our name that nobody here works on. */
  #lost = false
  /** Whether there was no room for all that is due when it was last looked at. */
  #full = false

  constructor(
    settings: SagasSettings,
    owner: string,
    store: ClaimedStore,
    warnings: Warnings,
    hooks: Omit<AtWorkHooks, 'left'>,
  ) {
    this.#settings = settings
    this.#owner = owner
    this.#store = store
    this.#warnings = warnings
    this.#hooks = { ...hooks, left: () => void (this.#lost = true) }
  }

  get size(): number {
    return this.#working.size
  }

  /** Work on this one; `undefined` when there is none. */
  on(id: string): Promise<void> | undefined {
    return this.#working.get(id)
  }

  isBusy(id: string): boolean {
    return this.#working.has(id) || this.#underWay.has(id)
  }

  /** Resolves when nothing of what is worked on now is any more. */
  async ended(): Promise<void> {
    await Promise.all(this.#working.values())
  }

  /** Works on a saga that is ours, in the background. */
  drive(claimed: Omit<ClaimedSaga, 'dueIn'>, go: Drive = (driver) => driver.drive()): void {
    const { id, status } = claimed
    const saga = this.#settings.sagas.get(status.saga)!
    const driver = new Driver(this.#settings, this.#store, this.#hooks, saga, claimed)
    const working = go(driver)
      .catch((thrown: unknown) => {
        this.#lost = true
        this.#warnings.tell('working on a saga failed; it is tried again', { id, saga: saga.name }, thrown)
      })
      .finally(() => {
        this.#working.delete(id)
        if (this.#full) this.#hooks.room()
      })
    this.#working.set(id, working)
  }

  /** A place, to be given back; `undefined` when there is none. */
  reserve(): Disposable | undefined {
    if (this.#room <= 0) return undefined
    this.#reserved++
    return { [Symbol.dispose]: () => void this.#reserved-- }
  }

  /** Claims and drives what is due, as far as there is room. */
  async takeUp(): Promise<void> {
    const { store, sagas } = this.#settings
    try {
      if (this.#lost) await this.#takeUpLost()
      const room = this.#room
      this.#full = room <= 0
      if (room <= 0) return
      const due = await store.claimDue(this.#owner, [...sagas.keys()], room)
      this.#full = due.length === room
      for (const claimed of due) this.drive(claimed)
    } catch (error) {
      this.#lost = true
      throw error
    }
  }

  /** While it is being begun or claimed; when that fails, the store may have done it all the same. */
  async claiming<Result>(id: string, run: () => Promise<Result>): Promise<Result> {
    const first = !this.#underWay.has(id)
    this.#underWay.add(id)
    try {
      return await run()
    } catch (error) {
      this.#lost = true
      throw error
    } finally {
      if (first) this.#underWay.delete(id)
    }
  }

  /** As it was before it was claimed. */
  async letGo({ dueIn, status, ...claim }: ClaimedSaga): Promise<void> {
    await this.#settings.store.save(claim, { status, free: { dueIn } })
  }

  async #takeUpLost(): Promise<void> {
    const { store, sagas } = this.#settings
    const room = this.#room
    if (room <= 0) return
    this.#lost = false
    const own = await store.claimOwn(this.#owner, [...this.#working.keys(), ...this.#underWay], room)
    this.#lost ||= own.length === room
    for (const claimed of own) {
      if (sagas.has(claimed.status.saga)) this.drive(claimed)
      else await this.letGo(claimed)
    }
  }

  /** How many more can be worked on. */
  get #room(): number {
    return this.#settings.concurrency - this.#working.size - this.#reserved
  }
}
