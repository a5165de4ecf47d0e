/**
 * The journal's port: where a requester writes down what it has accepted, before it is sent.
 *
 *   open ──▶ unfinished (what a predecessor left) ──▶ append, finish … ──▶ close
 *     │                                                  │
 *     └─ somebody living has it: refused, or fenced      └─ fenced by a later one: append throws from then on
 *
 * A store keeps the journals of many instances apart by their ids. All of ours pass `test/journal-contract.ts`.
 */
import type { Clock } from '../clock.ts'
import { MilenaError } from '../errors.ts'
import type { RandomBytes } from '../random.ts'
import type { RecordPosition } from '../transport/transport.ts'
import type { RawHeader } from '../wire/headers.ts'

/** A request as it was accepted. */
export interface JournalEntry {
  /** 16 bytes. */
  readonly correlationId: Buffer
  /** The operation's name. */
  readonly operation: string
  readonly topic: string
  readonly key: Buffer | null
  /** As the operation's codec has encoded it. */
  readonly value: Buffer | null
  /** Those that the caller gave, and the codec. */
  readonly headers: readonly RawHeader[]
  /** Milliseconds that its caller waits. */
  readonly timeout: number
  /** Milliseconds since the Unix epoch. */
  readonly acceptedAt: number
  readonly deadline: number
  /** From where its reply can appear. */
  readonly repliesFrom: readonly RecordPosition[]
}

/** What has to be known of an entry to wait for its reply. */
export interface JournalHead {
  readonly correlationId: Buffer
  readonly deadline: number
  readonly repliesFrom: readonly RecordPosition[]
  /** Its caller was told that its outcome is unknown; it is kept until then for a late reply. */
  readonly keptUntil: number | undefined
}

export interface JournalOpening {
  readonly instanceId: string
  /** What becomes of a living process that has it: we are refused, or it is fenced. */
  readonly takeOver: TakeOver
  readonly clock: Clock
  readonly random: RandomBytes
  /** Somebody else has taken it. Called once, with `journalTaken`, as soon as it is known. Never throws. */
  onTaken(error: MilenaError): void
  /** For people: what was found damaged, or lasts. Never throws. */
  warn(error: Error): void
}

export type TakeOver = 'refuse' | 'fence'

export interface JournalStore {
  /** For messages and `health()`, such as `fileJournal`. */
  readonly name: string
  /**
   * Opens the journal of this instance, which nobody else then has: a predecessor that is still alive can append
   * nothing any more, and whatever it has appended is in `unfinished`.
   *
   * @throws MilenaError `MILENA_JOURNAL_TAKEN` when a living process has it (`refuse`), `MILENA_JOURNAL_FAILED`
   */
  open(opening: JournalOpening): Promise<OpenJournal>
}

export interface OpenJournal {
  /** What was appended before it was opened and is not finished, the oldest first, in pages of bounded size. */
  unfinished(): AsyncIterable<readonly JournalHead[]>
  /** These entries, as far as they are there, in any order. */
  read(correlationIds: readonly Buffer[]): Promise<readonly JournalEntry[]>
  /**
   * Resolves when the entry will be found after a crash; in groups, in the order of the calls. The entry's buffers must
   * stay as they are until then.
   *
   * @throws MilenaError `MILENA_JOURNAL_FAILED`, `MILENA_JOURNAL_TAKEN`: it may be there all the same
   */
  append(entry: JournalEntry): Promise<void>
  /**
   * The entry has its outcome, and is forgotten: soon, and in groups. A crash before that brings it back.
   *
   * @param keepUntil not forgotten before then, in milliseconds since the Unix epoch: a late reply shall find it
   */
  finish(correlationId: Buffer, keepUntil?: number): void
  stats(): JournalStats
  /** Writes what is finished, and lets go of the journal. Whatever is appended from then on throws. */
  close(): Promise<void>
}

export interface JournalStats {
  /** Entries that are being written. */
  readonly writing: number
  /** Groups that were written, and entries in them. */
  readonly groups: number
  readonly appended: number
  /** Since when writing has failed, in milliseconds since the Unix epoch, and with what last; `undefined` while it does not. */
  readonly trouble: { readonly since: number; readonly error: Error } | undefined
}

/** The error of an entry, or a journal, that cannot be written or read. */
export function journalFailed(store: string, what: string, cause: unknown): MilenaError {
  return new MilenaError('MILENA_JOURNAL_FAILED', `${store}: ${what}`, { cause })
}

/** The error of whoever does not have the journal, or not any more. */
export function journalTaken(store: string, instanceId: string, what: string): MilenaError {
  return new MilenaError('MILENA_JOURNAL_TAKEN', `${store}: the journal of instance ${instanceId} ${what}`)
}
