/**
 * A journal in files, for the processes of one machine: a folder for each instance id, in it segments that are only ever
 * appended to.
 *
 *   waiting ─▶ one write, one fsync for all that gathered ─▶ still ours? ─▶ each told
 *
 * Guaranteed: what was appended is found after a kill, and with `sync` after a power cut, as far as the disk keeps its
 * word; a record that was torn is cut off, and told. A process that was fenced appends nothing. Not guaranteed: the
 * finishing of the last 50 ms before a kill; a file system that is shared by machines (NFS).
 */
import { mkdir, open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { ScheduledTimer } from '../clock.ts'
import { OptionsError, type MilenaError } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import { classOf, errorOf, said } from '../words.ts'
import { FileIndex } from './file-index.ts'
import { FileOwner, heartbeat, removed } from './file-owner.ts'
import { encodeEntry, encodeFinished } from './file-records.ts'
import { listSegments, segmentFile, syncFolder, takeSegments, type Segment } from './file-segments.ts'
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

export interface FileJournalOptions {
  /** The folder; made when it is missing. Several instances may have theirs in one. */
  readonly directory: string
  /**
   * Whether each group is on the disk before anything of it is sent (fsync); default true. Without, a killed process loses
   * nothing, and a power cut what was written last.
   */
  readonly sync?: boolean
  /** Bytes after which a new file is begun; default 8 MiB. */
  readonly segmentBytes?: number
}

const name = 'fileJournal'
/** Milliseconds for which finished entries wait for company, and until a write that failed is tried again. */
const finishWithin = 50
const pauseAfterFailure = 1_000
/** The most bytes of one write. */
const groupBytes = 4 * 1024 * 1024

const known: ReadonlySet<string> = new Set<keyof FileJournalOptions>(['directory', 'sync', 'segmentBytes'])

/** @throws OptionsError `MILENA_OPTIONS_INVALID` */
export function fileJournal(options: FileJournalOptions): JournalStore {
  const problems = unknownOptions(name, options, known)
  const { directory, sync = true, segmentBytes = 8 * 1024 * 1024 } = options
  if (typeof directory !== 'string' || directory === '')
    problems.push('directory must be the name of a folder')
  if (typeof sync !== 'boolean') problems.push(`sync must be true or false, not ${classOf(sync)}`)
  if (!Number.isSafeInteger(segmentBytes) || segmentBytes < 1_024 || segmentBytes > 2 ** 30)
    problems.push(`segmentBytes must be a whole number of 1024 to ${2 ** 30}, not ${said(segmentBytes)}`)
  if (problems.length > 0) throw new OptionsError(name, problems)
  return { name, open: (opening) => openFileJournal({ directory, sync, segmentBytes }, opening) }
}

type Settings = Required<FileJournalOptions>

async function openFileJournal(settings: Settings, opening: JournalOpening): Promise<OpenJournal> {
  const { instanceId, clock } = opening
  const folder = join(settings.directory, `journal-${instanceId}`)
  let owner: FileOwner | undefined
  try {
    await mkdir(folder, { recursive: true })
    owner = await FileOwner.take(folder, opening)
    if (owner !== undefined) {
      const segments = await listSegments(folder)
      const index = new FileIndex(segments, clock.now(), (error) => opening.warn(error))
      await index.read()
      await takeSegments(folder, owner.number, segments)
      if (await owner.holds()) return new FileJournal(folder, settings, opening, owner, index)
    }
  } catch (error) {
    throw journalFailed(name, `the journal in ${folder} cannot be opened`, error)
  }
  const why =
    owner === undefined
      ? `in ${folder} is that of a process that is alive: start this one under another id, end that one, or take over`
      : `in ${folder} was taken by another process at the same moment`
  throw journalTaken(name, instanceId, why)
}

interface Waiting {
  readonly entry: JournalEntry
  readonly record: Buffer
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

class FileJournal implements OpenJournal {
  readonly #folder: string
  readonly #settings: Settings
  readonly #opening: JournalOpening
  readonly #owner: FileOwner
  readonly #index: FileIndex
  #waiting: Waiting[] = []
  #finished: Buffer[] = []
  #writing: Promise<void> | undefined
  #inGroup = 0
  #handle: FileHandle | undefined
  #segment: Segment | undefined
  #segments = 0
  #finishTimer: ScheduledTimer | undefined
  #beatTimer: ScheduledTimer | undefined
  #taken: MilenaError | undefined
  #closed = false
  #groups = 0
  #appended = 0
  #trouble: JournalStats['trouble']

  constructor(
    folder: string,
    settings: Settings,
    opening: JournalOpening,
    owner: FileOwner,
    index: FileIndex,
  ) {
    this.#folder = folder
    this.#settings = settings
    this.#opening = opening
    this.#owner = owner
    this.#index = index
    this.#beatLater()
  }

  unfinished(): AsyncIterable<readonly JournalHead[]> {
    return this.#index.heads()
  }

  read(correlationIds: readonly Buffer[]): Promise<readonly JournalEntry[]> {
    return this.#index.entries(correlationIds)
  }

  append(entry: JournalEntry): Promise<void> {
    if (this.#taken !== undefined) return Promise.reject(this.#taken)
    if (this.#closed) return Promise.reject(journalFailed(name, 'it is closed', undefined))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, record: encodeEntry(entry), resolve, reject })
      this.#begin()
    })
  }

  finish(correlationId: Buffer, keepUntil?: number): void {
    if (this.#taken !== undefined) return
    this.#index.finish(correlationId.toString('latin1'), keepUntil)
    this.#finished.push(encodeFinished(correlationId, keepUntil))
    this.#finishLater(finishWithin)
  }

  stats(): JournalStats {
    return {
      writing: this.#waiting.length + this.#inGroup,
      groups: this.#groups,
      appended: this.#appended,
      trouble: this.#trouble,
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#beatTimer?.cancel()
    this.#finishTimer?.cancel()
    await this.#writing
    // Whoever was told last that its entry is written may have finished it at once.
    await Promise.resolve()
    if (this.#finished.length > 0 && this.#taken === undefined) await this.#writeAll()
    await this.#handle?.close()
    this.#handle = undefined
    if (this.#taken === undefined) await this.#owner.release()
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
    do {
      const group = this.#takeGroup()
      const finished = this.#finished.splice(0)
      this.#inGroup = group.length
      try {
        await this.#write(group, finished)
      } catch (thrown) {
        await this.#failed(group, finished, errorOf(thrown))
        // An entry is tried once; what is finished waits.
        if (this.#waiting.length === 0) return
      } finally {
        this.#inGroup = 0
      }
    } while (this.#waiting.length > 0)
  }

  #takeGroup(): readonly Waiting[] {
    let bytes = 0
    let count = 0
    for (const { record } of this.#waiting) {
      if (count > 0 && bytes + record.length > groupBytes) break
      bytes += record.length
      count++
    }
    return this.#waiting.splice(0, count)
  }

  async #write(group: readonly Waiting[], finished: readonly Buffer[]): Promise<void> {
    const records = [...group.map(({ record }) => record), ...finished]
    if (records.length === 0) return
    const segment = await this.#append(records, group.length > 0)
    let offset = segment.bytes
    for (const { entry, record } of group) {
      this.#index.add(entry.correlationId.toString('latin1'), segment, offset, record.length)
      offset += record.length
    }
    segment.bytes = offset + finished.reduce((bytes, { length }) => bytes + length, 0)
    this.#trouble = undefined
    if (group.length > 0) this.#groups++
    this.#appended += group.length
    for (const { resolve } of group) resolve()
    await this.#tidy()
  }

  /** Writes these at the segment's end, of which its `bytes` do not know yet. */
  async #append(records: readonly Buffer[], durably: boolean): Promise<Segment> {
    if (this.#segment !== undefined && this.#segment.bytes >= this.#settings.segmentBytes)
      await this.#endSegment()
    const segment = this.#segment ?? (await this.#beginSegment())
    await writeFully(this.#handle!, Buffer.concat(records), segment.bytes)
    if (durably && this.#settings.sync) await this.#handle!.datasync()
    // After the write, and before anybody is told: see file-owner.ts.
    if (!(await this.#owner.holds())) throw this.#lose()
    return segment
  }

  async #beginSegment(): Promise<Segment> {
    const file = segmentFile(this.#folder, this.#owner.number, ++this.#segments)
    this.#handle = await open(file, 'wx')
    if (this.#settings.sync) await syncFolder(this.#folder)
    return (this.#segment = this.#index.begin(file))
  }

  async #endSegment(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    this.#segment = undefined
    await handle?.close()
  }

  /** Behind what may be half a record nothing can be read: the next group begins a file of its own. */
  async #failed(group: readonly Waiting[], finished: readonly Buffer[], error: Error): Promise<void> {
    await this.#endSegment().catch(() => undefined)
    this.#trouble = { since: this.#trouble?.since ?? this.#opening.clock.now(), error }
    const told = this.#taken ?? journalFailed(name, `the journal in ${this.#folder} cannot be written`, error)
    for (const { reject } of group) reject(told)
    if (this.#taken !== undefined) {
      for (const { reject } of this.#waiting.splice(0)) reject(this.#taken)
      return
    }
    this.#finished.unshift(...finished)
    if (this.#finished.length > 0) this.#finishLater(pauseAfterFailure)
  }

  /** Removes files of which everything is finished; what has been in the way of that for long moves to the end. */
  async #tidy(): Promise<void> {
    const { segmentBytes } = this.#settings
    for (;;) {
      const oldest = this.#index.oldest
      if (oldest === undefined || oldest === this.#segment) return
      if (oldest.live > 0) {
        if (!this.#index.isMostlyFinished(4 * segmentBytes)) return
        const moved = await this.#index.liveRecordsOf(oldest)
        const segment = await this.#append(
          moved.map(({ record }) => record),
          true,
        )
        for (const { id, record, isEntry } of moved) {
          if (isEntry) this.#index.add(id, segment, segment.bytes, record.length)
          segment.bytes += record.length
        }
      }
      await removed(oldest.file)
      this.#index.drop(oldest)
    }
  }

  #finishLater(delay: number): void {
    if (this.#finishTimer !== undefined || this.#closed) return
    this.#finishTimer = this.#opening.clock.schedule(delay, () => {
      this.#finishTimer = undefined
      if (this.#finished.length > 0) this.#begin()
    })
  }

  #beatLater(): void {
    if (this.#closed || this.#taken !== undefined) return
    this.#beatTimer = this.#opening.clock.schedule(heartbeat, () => {
      this.#index.expire(this.#opening.clock.now())
      this.#owner
        .beat(this.#opening.clock)
        .then(
          (ours) => void (ours || this.#lose()),
          () => undefined, // what cannot be written now is told when something has to be
        )
        .finally(() => this.#beatLater())
    })
  }

  #lose(): MilenaError {
    if (this.#taken === undefined) {
      this.#taken = journalTaken(
        name,
        this.#opening.instanceId,
        `in ${this.#folder} has been taken by another process: this one accepts nothing any more`,
      )
      this.#opening.onTaken(this.#taken)
    }
    return this.#taken
  }
}

async function writeFully(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, position + written)
    written += bytesWritten
  }
}
