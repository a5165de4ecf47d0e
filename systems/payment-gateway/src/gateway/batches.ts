/**
 * Writes by many callers as few statements, which is a group commit: what is asked for while a statement is on its way
 * goes with the next one.
 *
 *   add ──▶ waiting ── pace ──▶ on its way: one statement, at most `mostTogether` writes ──▶ each caller told
 *              ▲                                   │
 *              └────────── more was added ─────────┘
 */
import { isRefusal } from '../database/connect.ts'

export interface BatchesOptions<Write> {
  /**
   * Milliseconds from the beginning of a statement to that of the next, at least. A write that comes later than that
   * goes as soon as all that has arrived with it has been handled; only where writes are frequent do they wait for company.
   */
  readonly pace: number
  /** Two writes of one id are never in one statement: the second one has to find what the first one did. */
  readonly idOf: (write: Write) => string
  /** Carries out all of them or none, in the given order; resolves with the ids of those that changed something. */
  readonly carryOut: (writes: readonly Write[]) => Promise<ReadonlySet<string>>
}

interface Waiting<Write> {
  readonly id: string
  readonly write: Write
  readonly resolve: (changed: boolean) => void
  readonly reject: (error: unknown) => void
}

/** Bounds a statement's size, and how long its rows are locked. */
const mostTogether = 500

export class Batches<Write> {
  readonly #options: BatchesOptions<Write>
  #waiting: Waiting<Write>[] = []
  /** From the first write on until its statement has ended. */
  #busy = false
  /** When the last statement began, in `performance.now()` milliseconds. */
  #begun = -Infinity

  constructor(options: BatchesOptions<Write>) {
    this.#options = options
  }

  /** Resolves, when the write is committed, with whether it changed something. */
  add(write: Write): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>()
    this.#waiting.push({ id: this.#options.idOf(write), write, resolve, reject })
    if (!this.#busy) this.#begin()
    return promise
  }

  #begin(): void {
    this.#busy = true
    const wait = this.#begun + this.#options.pace - performance.now()
    if (wait > 0) setTimeout(() => this.#go(), Math.ceil(wait))
    else setImmediate(() => this.#go())
  }

  #go(): void {
    this.#begun = performance.now()
    void this.#write(this.#take()).then(() => this.#end())
  }

  #end(): void {
    this.#busy = false
    if (this.#waiting.length > 0) this.#begin()
  }

  /** By id: two gateways that write to the same rows lock them in one order, so neither waits for the other for good. */
  #take(): Waiting<Write>[] {
    const taken = new Map<string, Waiting<Write>>()
    const left: Waiting<Write>[] = []
    for (const one of this.#waiting) {
      if (taken.size < mostTogether && !taken.has(one.id)) taken.set(one.id, one)
      else left.push(one)
    }
    this.#waiting = left
    return [...taken.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1))
  }

  /** Never rejects. */
  async #write(batch: readonly Waiting<Write>[]): Promise<void> {
    try {
      const changed = await this.#options.carryOut(batch.map(({ write }) => write))
      for (const { id, resolve } of batch) resolve(changed.has(id))
    } catch (error) {
      // The database has refused one and with it all, and nothing was written: the others are not to suffer for it.
      if (isRefusal(error) && batch.length > 1) for (const one of batch) await this.#write([one])
      else for (const { reject } of batch) reject(error)
    }
  }
}
