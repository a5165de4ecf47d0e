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
import { Database, storeProblems, type GroupedStoreOptions } from '../database.ts'
import { kindOf, switchProblems } from '../given.ts'
import { GroupCommit } from '../group-commit.ts'
import { within } from '../within.ts'
import { Ownership } from './ownership.ts'
import { JournalRows, type Finished } from './rows.ts'

export interface PostgresJournalOptions extends GroupedStoreOptions {
  /**
   * Milliseconds after its last sign of life for which a process counts as alive; it gives three in that time. Default
   * 3 000, at least 300.
   */
  readonly lease?: number | undefined
  /** Milliseconds that a write may take; default 5 000. What has taken longer was not sent. */
  readonly timeout?: number | undefined
}

type Settings = Required<{ [Name in 'lease' | 'timeout' | 'pace']: number }>

const name = 'postgresJournal'
const finishWithin = 50
const pauseAfterFailure = 1_000
/** The most entries that wait to be finished. */
const mostFinished = 100_000
/** The most that are finished in one statement. */
const finishedTogether = 1_000
/** Milliseconds between two lookings for what need not be kept any more. */
const expireEvery = 60_000

/** @throws OptionsError `MILENA_OPTIONS_INVALID` */
export function postgresJournal(options: PostgresJournalOptions): JournalStore {
  const problems = storeProblems(options, ['lease', 'timeout', 'pace', 'prepared'])
  const {
    lease = 3_000,
    timeout = 5_000,
    pace = 0,
    prepared,
  } = (options ?? {}) as Partial<PostgresJournalOptions>
  problems.push(...switchProblems({ prepared }))
  if (!(Number.isFinite(lease) && lease >= 300))
    problems.push(`lease must be at least 300 ms, not ${kindOf(lease)}`)
  if (!(Number.isFinite(timeout) && timeout >= 1))
    problems.push(`timeout must be at least 1 ms, not ${kindOf(timeout)}`)
  if (!(Number.isFinite(pace) && pace >= 0))
    problems.push(`pace must be a number of milliseconds, not ${kindOf(pace)}`)
  if (problems.length > 0) throw new OptionsError(name, problems)
  const database = new Database(options, '003-journal')
  return { name, open: (opening) => openPostgresJournal(database, { lease, timeout, pace }, opening) }
}

async function openPostgresJournal(
  database: Database,
  settings: Settings,
  opening: JournalOpening,
): Promise<OpenJournal> {
  try {
    const owner = await Ownership.take(database, opening, settings.lease)
    if (owner !== undefined) {
      const rows = new JournalRows(database, owner)
      await rows.expire(opening.clock.now())
      return new PostgresJournal(opening, owner, rows, settings)
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

class PostgresJournal implements OpenJournal {
  readonly #opening: JournalOpening
  readonly #owner: Ownership
  readonly #rows: JournalRows
  readonly #lease: number
  readonly #timeout: number
  readonly #appends: GroupCommit<JournalEntry>
  #finished: Finished[] = []
  #finishing: Promise<void> | undefined
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

  constructor(opening: JournalOpening, owner: Ownership, rows: JournalRows, settings: Settings) {
    const { lease, timeout, pace } = settings
    this.#opening = opening
    this.#owner = owner
    this.#rows = rows
    this.#lease = lease
    this.#timeout = timeout
    this.#expiredAt = opening.clock.monotonic()
    this.#appends = new GroupCommit<JournalEntry>({
      pace,
      timeout,
      clock: opening.clock,
      bytesOf: ({ key, value }) => (key?.length ?? 0) + (value?.length ?? 0),
      carryOut: (entries) => this.#write(entries),
    })
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
    return this.#appends.add(entry).catch((error: unknown) => this.#failed(error))
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
      writing: this.#appends.size,
      groups: this.#groups,
      appended: this.#appended,
      trouble: this.#trouble ?? this.#silence,
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#finishTimer?.cancel()
    this.#leaseTimer?.cancel()
    // Whoever is told last that its entry is written may finish it at once.
    await this.#appends.idle()
    await this.#finishing
    if (this.#taken !== undefined) return
    await this.#finishAll()
    await this.#within(this.#owner.release())
  }

  async #write(entries: readonly JournalEntry[]): Promise<undefined[]> {
    if (this.#taken !== undefined) throw this.#taken
    if (!(await this.#rows.insert(entries))) throw this.#lose()
    this.#trouble = undefined
    this.#groups++
    this.#appended += entries.length
    return entries.map(() => undefined)
  }

  #failed(thrown: unknown): never {
    if (this.#taken !== undefined) throw this.#taken
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    this.#trouble = this.#since(this.#trouble, error)
    throw journalFailed(name, 'the journal cannot be written', error)
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
      const group = this.#finished.splice(0, finishedTogether)
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
  #within<Result>(work: Promise<Result>): Promise<Result> {
    return within(this.#opening.clock, this.#timeout, work)
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
