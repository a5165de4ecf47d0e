/** A journal in memory, for tests: what is in it outlives the requesters of one process, as if they were processes. */
import { errorOf } from '../words.ts'
import {
  journalFailed,
  journalTaken,
  type JournalEntry,
  type JournalHead,
  type JournalOpening,
  type JournalStats,
  type JournalStore,
  type OpenJournal,
} from './journal.ts'

export interface MemoryJournal extends JournalStore {
  /** The entries of this instance that are not finished; those that are kept for a late reply too. */
  entries(instanceId: string): readonly JournalEntry[]
  /** What becomes of each append from now on: it waits for what is returned, and fails when that rejects. */
  onAppend: ((entry: JournalEntry) => Promise<void> | void) | undefined
  /** As if the process that has it had been killed: it can be opened, and what that process still does is nobody's. */
  kill(instanceId: string): void
}

interface Kept {
  readonly entry: JournalEntry
  keptUntil: number | undefined
}

interface Instance {
  readonly entries: Map<string, Kept>
  owner: MemoryJournalOfInstance | undefined
}

const name = 'memoryJournal'

export function createMemoryJournal(): MemoryJournal {
  const instances = new Map<string, Instance>()
  const instance = (id: string): Instance => {
    let found = instances.get(id)
    if (found === undefined) instances.set(id, (found = { entries: new Map(), owner: undefined }))
    return found
  }
  const journal: MemoryJournal = {
    name,
    onAppend: undefined,
    entries: (id) => [...instance(id).entries.values()].map(({ entry }) => entry),
    kill: (id) => (instance(id).owner = undefined),
    async open(opening) {
      const of = instance(opening.instanceId)
      if (of.owner !== undefined && opening.takeOver === 'refuse')
        throw journalTaken(name, opening.instanceId, 'is that of another requester here')
      const before = of.owner
      of.owner = new MemoryJournalOfInstance(of, opening, () => journal.onAppend)
      before?.fence()
      return of.owner
    },
  }
  return journal
}

class MemoryJournalOfInstance implements OpenJournal {
  readonly #of: Instance
  readonly #opening: JournalOpening
  readonly #onAppend: () => MemoryJournal['onAppend']
  #order: Promise<void> = Promise.resolve()
  #writing = 0
  #appended = 0
  #trouble: JournalStats['trouble']
  #closed = false

  constructor(of: Instance, opening: JournalOpening, onAppend: () => MemoryJournal['onAppend']) {
    this.#of = of
    this.#opening = opening
    this.#onAppend = onAppend
    for (const [id, { keptUntil }] of of.entries)
      if (keptUntil !== undefined && keptUntil <= opening.clock.now()) of.entries.delete(id)
  }

  async *unfinished(): AsyncIterable<readonly JournalHead[]> {
    const kept = [...this.#of.entries.values()]
    yield kept.map(({ entry: { correlationId, deadline, repliesFrom }, keptUntil }): JournalHead => ({
      correlationId,
      deadline,
      repliesFrom,
      keptUntil,
    }))
  }

  async read(correlationIds: readonly Buffer[]): Promise<readonly JournalEntry[]> {
    return correlationIds.flatMap((id) => this.#of.entries.get(id.toString('latin1'))?.entry ?? [])
  }

  append(entry: JournalEntry): Promise<void> {
    this.#writing++
    const written = Promise.resolve(this.#order.then(() => this.#onAppend()?.(entry)))
      .catch((error: unknown) => {
        this.#trouble ??= { since: this.#opening.clock.now(), error: errorOf(error) }
        throw journalFailed(name, 'it cannot be written', error)
      })
      .then(() => {
        if (this.#closed) throw journalFailed(name, 'it is closed', undefined)
        if (this.#of.owner !== this) throw this.#taken()
        this.#trouble = undefined
        this.#of.entries.set(entry.correlationId.toString('latin1'), { entry, keptUntil: undefined })
        this.#appended++
      })
      .finally(() => this.#writing--)
    this.#order = written.catch(() => undefined)
    return written
  }

  finish(correlationId: Buffer, keepUntil?: number): void {
    if (this.#of.owner !== this) return
    const id = correlationId.toString('latin1')
    const kept = this.#of.entries.get(id)
    if (keepUntil === undefined) this.#of.entries.delete(id)
    else if (kept !== undefined) kept.keptUntil = keepUntil
  }

  stats(): JournalStats {
    return {
      writing: this.#writing,
      groups: this.#appended,
      appended: this.#appended,
      trouble: this.#trouble,
    }
  }

  async close(): Promise<void> {
    await this.#order
    this.#closed = true
    if (this.#of.owner === this) this.#of.owner = undefined
  }

  fence(): void {
    this.#opening.onTaken(this.#taken())
  }

  #taken(): Error & ReturnType<typeof journalTaken> {
    return journalTaken(name, this.#opening.instanceId, 'has been taken by another requester')
  }
}
