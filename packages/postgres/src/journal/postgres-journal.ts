/**
 * A requester's journal in PostgreSQL: one statement for all that gathered while the last one was on its way.
 *
 * Guaranteed: what was appended is found by whoever opens the journal next, as far as the database keeps what it has
 * committed (`synchronous_commit`); of two processes under one instance id at most one writes. Not guaranteed: the
 * finishing of the last 50 ms before a kill, or while the database was away. A process that was killed is taken for dead
 * when its lease has ended: until then a successor that does not fence it waits.
 */
import {
  journalFailed,
  journalTaken,
  MilenaError,
  OptionsError,
  type JournalEntry,
  type JournalHead,
  type JournalOpening,
  type JournalStats,
  type JournalStore,
  type OpenJournal,
  type ScheduledTimer,
} from '@milena/request-reply'
import { Database, storeProblems, type StoreOptions } from '../database.ts'
import { Ownership } from './ownership.ts'
import { JournalRows, type Finished } from './rows.ts'

export interface PostgresJournalOptions extends StoreOptions {
  /**
   * Milliseconds after its last sign of life for which a process counts as alive; it gives three in that time. Default
   * 3 000, at least 300.
   */
  readonly lease?: number | undefined
  /** Milliseconds that a write may take; default 5 000. What has taken longer was not sent. */
  readonly timeout?: number | undefined
}

const name = 'postgresJournal'
const finishWithin = 50
const pauseAfterFailure = 1_000
/** The most entries that wait to be finished. */
const mostFinished = 100_000
/** The most entries, and bytes of keys and values, of one statement. */
const groupEntries = 1_000
const groupBytes = 4 * 1024 * 1024
/** Milliseconds between two lookings for what need not be kept any more. */
const expireEvery = 60_000

/** @throws OptionsError `MILENA_OPTIONS_INVALID` */
export function postgresJournal(options: PostgresJournalOptions): JournalStore {
  const problems = storeProblems(options, ['lease', 'timeout'])
  const { lease = 3_000, timeout = 5_000 } = (options ?? {}) as Partial<PostgresJournalOptions>
  if (!(Number.isFinite(lease) && lease >= 300)) problems.push(`lease must be at least 300 ms, not ${lease}`)
  if (!(Number.isFinite(timeout) && timeout >= 1))
    problems.push(`timeout must be at least 1 ms, not ${timeout}`)
  if (problems.length > 0) throw new OptionsError(name, problems)
  const database = new Database(options, '003-journal')
  return { name, open: (opening) => openPostgresJournal(database, lease, timeout, opening) }
}

async function openPostgresJournal(
  database: Database,
  lease: number,
  timeout: number,
  opening: JournalOpening,
): Promise<OpenJournal> {
  try {
    const owner = await Ownership.take(database, opening, lease)
    if (owner !== undefined) {
      const rows = new JournalRows(database, owner)
      await rows.expire(opening.clock.now())
      return new PostgresJournal(opening, owner, rows, lease, timeout)
    }
  } catch (error) {
    if (error instanceof MilenaError) throw error
    throw journalFailed(name, `the journal of instance ${opening.instanceId} cannot be opened`, error)
  }
  throw journalTaken(
    name,
    opening.instanceId,
    'is that of a process that is alive: start this one under another id, end that one, or take over',
  )
}

interface Waiting {
  readonly entry: JournalEntry
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

class PostgresJournal implements OpenJournal {
  readonly #opening: JournalOpening
  readonly #owner: Ownership
  readonly #rows: JournalRows
  readonly #lease: number
  readonly #timeout: number
  readonly #waiting: Waiting[] = []
  #finished: Finished[] = []
  #writing: Promise<void> | undefined
  #finishing: Promise<void> | undefined
  #inGroup = 0
  #finishTimer: ScheduledTimer | undefined
  #leaseTimer: ScheduledTimer | undefined
  #expiredAt: number
  #taken: MilenaError | undefined
  #closed = false
  #groups = 0
  #appended = 0
  /** Entries cannot be written. */
  #trouble: JournalStats['trouble']
  /** No sign of life can be given: told though nothing is to be written. */
  #silence: JournalStats['trouble']

  constructor(opening: JournalOpening, owner: Ownership, rows: JournalRows, lease: number, timeout: number) {
    this.#opening = opening
    this.#owner = owner
    this.#rows = rows
    this.#lease = lease
    this.#timeout = timeout
    this.#expiredAt = opening.clock.monotonic()
    this.#renewLater()
  }

  unfinished(): AsyncIterable<readonly JournalHead[]> {
    return this.#rows.heads()
  }

  read(correlationIds: readonly Buffer[]): Promise<readonly JournalEntry[]> {
    return this.#within(this.#rows.read(correlationIds))
  }

  append(entry: JournalEntry): Promise<void> {
    if (this.#taken !== undefined) return Promise.reject(this.#taken)
    if (this.#closed) return Promise.reject(journalFailed(name, 'it is closed', undefined))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject })
      this.#begin()
    })
  }

  finish(correlationId: Buffer, keepUntil?: number): void {
    if (this.#taken !== undefined) return
    // The database is away: these are requests that could not be written, and most likely are not there.
    if (this.#finished.length >= mostFinished) return
    this.#finished.push({ correlationId, keepUntil })
    this.#finishLater(finishWithin)
  }

  stats(): JournalStats {
    return {
      writing: this.#waiting.length + this.#inGroup,
      groups: this.#groups,
      appended: this.#appended,
      trouble: this.#trouble ?? this.#silence,
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#finishTimer?.cancel()
    this.#leaseTimer?.cancel()
    await this.#writing
    await this.#finishing
    // Whoever was told last that its entry is written may have finished it at once.
    await Promise.resolve()
    if (this.#taken !== undefined) return
    await this.#finishAll()
    await this.#within(this.#owner.release())
  }

  #begin(): void {
    this.#writing ??= Promise.resolve()
      .then(() => this.#writeAll())
      .finally(() => {
        this.#writing = undefined
        if (this.#waiting.length > 0) this.#begin()
      })
  }

  /** Never rejects. */
  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup()
      this.#inGroup = group.length
      try {
        const written = await this.#within(this.#rows.insert(group.map(({ entry }) => entry)))
        if (!written) throw this.#lose()
        this.#trouble = undefined
        this.#groups++
        this.#appended += group.length
        for (const { resolve } of group) resolve()
      } catch (thrown) {
        this.#failed(group, thrown)
      } finally {
        this.#inGroup = 0
      }
    }
  }

  #takeGroup(): readonly Waiting[] {
    let bytes = 0
    let count = 0
    for (const { entry } of this.#waiting) {
      bytes += (entry.key?.length ?? 0) + (entry.value?.length ?? 0)
      if (count === groupEntries || (count > 0 && bytes > groupBytes)) break
      count++
    }
    return this.#waiting.splice(0, count)
  }

  #failed(group: readonly Waiting[], thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    if (this.#taken === undefined) this.#trouble = this.#since(this.#trouble, error)
    const told = this.#taken ?? journalFailed(name, 'the journal cannot be written', error)
    for (const { reject } of group) reject(told)
    if (this.#taken !== undefined) for (const { reject } of this.#waiting.splice(0)) reject(told)
  }

  #finishLater(delay: number): void {
    if (this.#finishTimer !== undefined || this.#closed) return
    this.#finishTimer = this.#opening.clock.schedule(delay, () => {
      this.#finishTimer = undefined
      this.#finishing = this.#finishAll().finally(() => (this.#finishing = undefined))
    })
  }

  /** What could not be finished now is finished later. Never rejects. */
  async #finishAll(): Promise<void> {
    while (this.#finished.length > 0 && this.#taken === undefined) {
      const group = this.#finished.splice(0, groupEntries)
      try {
        await this.#within(this.#rows.finish(group))
      } catch {
        this.#finished = [...group, ...this.#finished]
        return this.#finishLater(pauseAfterFailure)
      }
    }
  }

  #renewLater(): void {
    if (this.#closed || this.#taken !== undefined) return
    this.#leaseTimer = this.#opening.clock.schedule(this.#lease / 3, () => {
      this.#renew()
        .catch((thrown: Error) => void (this.#silence = this.#since(this.#silence, thrown)))
        .finally(() => this.#renewLater())
    })
  }

  async #renew(): Promise<void> {
    if (!(await this.#within(this.#owner.renew()))) this.#lose()
    this.#silence = undefined
    const { clock } = this.#opening
    if (this.#taken !== undefined || clock.monotonic() - this.#expiredAt < expireEvery) return
    this.#expiredAt = clock.monotonic()
    await this.#within(this.#rows.expire(clock.now()))
  }

  #since(trouble: JournalStats['trouble'], error: Error): JournalStats['trouble'] {
    return { since: trouble?.since ?? this.#opening.clock.now(), error }
  }

  /** @throws when it takes longer than a write may */
  async #within<Result>(work: Promise<Result>): Promise<Result> {
    let timer: ScheduledTimer | undefined
    const late = new Promise<never>((_, reject) => {
      timer = this.#opening.clock.schedule(this.#timeout, () =>
        reject(new Error(`PostgreSQL has not answered within ${this.#timeout} ms`)),
      )
    })
    try {
      return await Promise.race([work, late])
    } finally {
      timer?.cancel()
    }
  }

  #lose(): MilenaError {
    if (this.#taken === undefined) {
      this.#taken = journalTaken(
        name,
        this.#opening.instanceId,
        'has been taken by another process: this one accepts nothing any more',
      )
      this.#opening.onTaken(this.#taken)
    }
    return this.#taken
  }
}
