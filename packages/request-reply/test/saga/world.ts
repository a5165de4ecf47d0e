/** What sagas of tests do outside: effects by key, each done once, and undone whether or not it was done before. */
import { StepError } from '../../src/saga/step-error.ts'

export class World {
  /** What is done and not undone, by the name of its step. */
  readonly applied = new Map<string, number>()
  /** How often each key was asked for, also in vain. */
  readonly calls = new Map<string, number>()
  readonly #done = new Set<string>()
  readonly #undone = new Set<string>()

  /** Idempotent by its key; once undone it is refused. */
  do(key: string): void {
    this.calls.set(key, (this.calls.get(key) ?? 0) + 1)
    if (this.#undone.has(key)) throw new StepError(`${key} was undone`)
    if (this.#done.has(key)) return
    this.#done.add(key)
    this.#add(key, 1)
  }

  /** Of the action's key; idempotent, and valid before it. */
  undo(key: string): void {
    const calls = `${key}:undo`
    this.calls.set(calls, (this.calls.get(calls) ?? 0) + 1)
    if (this.#undone.has(key)) return
    this.#undone.add(key)
    if (this.#done.has(key)) this.#add(key, -1)
  }

  /** Not idempotent: each call counts. */
  add(key: string, amount: number): void {
    this.calls.set(key, (this.calls.get(key) ?? 0) + 1)
    this.#add(key, amount)
  }

  get net(): Record<string, number> {
    return Object.fromEntries([...this.applied].filter(([, amount]) => amount !== 0))
  }

  #add(key: string, amount: number): void {
    const name = key.split(':')[1]!
    this.applied.set(name, (this.applied.get(name) ?? 0) + amount)
  }
}
