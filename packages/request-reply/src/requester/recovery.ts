/**
 * What an earlier process under this instance id had accepted, until it is finished here:
 *
 *   waiting ──reply───────────────────────────▶ queued ─▶ read from the journal ─▶ onRecovered ─▶ finished
 *      └──its deadline, and all that stood in ──▶ unknown: as above              └─throws: later again
 *         the log at the start was read
 *
 * Nothing of it is sent. Of each that waits its id and its deadline are in memory, and nothing else; it takes nothing of
 * `maxPending`. Replies that are queued are bounded by `maxPendingBytes`: what comes beyond that stays in the journal, for
 * the next start, and is told.
 */
import type { Clock, ScheduledTimer } from '../clock.ts'
import { codecFailed, decodePayload, validatePayload } from '../contract/coding.ts'
import type { AnyOperation } from '../contract/operation.ts'
import { MilenaError, ValidationError } from '../errors.ts'
import type { JournalEntry, OpenJournal } from '../journal/journal.ts'
import type { ReplyRoutes } from '../routing/reply-routes.ts'
import type { IncomingRecord, RecordPosition } from '../transport/transport.ts'
import { readReplyError, type WireProfile } from '../wire/profile.ts'
import { copyOf } from './early-replies.ts'
import { fingerprintOf } from './fingerprint.ts'
import type { JournalSettings } from './journal-options.ts'
import type { OperationAccounts } from './operation-accounts.ts'
import { timedOut } from './outcome-errors.ts'
import { PendingReply } from './pending.ts'
import type { PendingReplies } from './pending-replies.ts'
import { leavesOpen, readReply } from './read-reply.ts'
import type { Reply } from './reply.ts'
import { recoveredRequest } from './recovered.ts'
import { RecoveryDeadlines } from './recovery-deadlines.ts'
import { Turns } from './recovery-turns.ts'
import type { RecoveryCounts } from './stats.ts'
import type { Warnings } from '../warnings.ts'

export interface RecoveryOptions {
  readonly clock: Clock
  readonly profile: WireProfile
  readonly journal: JournalSettings
  readonly accounts: OperationAccounts
  readonly warnings: Warnings
  readonly pending: () => PendingReplies
  readonly maxReplyBytes: number
  readonly maxBytes: number
  readonly defaultReplyTopic: () => string
  readonly reasonSince: (openedAt: number, replyTopic: string) => string | undefined
  /** Resolves when replies that have come by now were handed over; bounded. */
  catchUp(): Promise<void>
}

interface Waiting {
  /** The correlation id, one character for each byte. */
  readonly id: string
  readonly deadline: number
  /** It was told as unknown. */
  late: boolean
}

/** What is to be handed over. */
interface Item {
  readonly waiting: Waiting
  /** Whether it was late when this came. */
  readonly late: boolean
  /** Without: no reply has come. */
  readonly record: IncomingRecord | undefined
  failures: number
  /** Of a request of this process: what its caller was told, and what is called when this is done. */
  readonly own?: { readonly came: Reply<unknown> | MilenaError; readonly done: () => void }
}

const firstPause = 1_000
const longestPause = 30_000

export class Recovery {
  readonly #options: RecoveryOptions
  readonly #waiting = new Map<string, Waiting>()
  readonly #deadlines: RecoveryDeadlines<Waiting>
  readonly #turns: Turns<Item>
  readonly #timers = new Set<ScheduledTimer>()
  #journal: OpenJournal | undefined
  #openedAt = 0
  #bytes = 0
  /** How many wait whose outcome nobody was told. */
  #untold = 0
  /** Requests of this process that `beforeFinish` is not done with. */
  #own = 0
  #recovered = 0
  #retrying = 0
  #left = 0
  #stopped = false

  constructor(options: RecoveryOptions) {
    this.#options = options
    this.#turns = new Turns((items) => this.#handOver(items))
    this.#deadlines = new RecoveryDeadlines({
      clock: options.clock,
      catchUp: () => options.catchUp(),
      waits: (waiting) => this.#waiting.has(waiting.id) && !waiting.late,
      onOver: (waiting) => this.#expire(waiting),
    })
  }

  /** Reads what is unfinished; gives back from where its replies can be read, if there is any of it. */
  async load(journal: OpenJournal): Promise<readonly RecordPosition[] | undefined> {
    this.#journal = journal
    const from = new Map<string, RecordPosition>()
    for await (const page of journal.unfinished()) {
      for (const { correlationId, deadline, repliesFrom, keptUntil } of page) {
        const waiting = { id: correlationId.toString('latin1'), deadline, late: keptUntil !== undefined }
        this.#waiting.set(waiting.id, waiting)
        if (!waiting.late) this.#deadlines.add(repliesFrom[0]?.topic, waiting)
        if (!waiting.late) this.#untold++
        for (const position of repliesFrom) {
          const place = `${position.topic} ${position.partition}`
          const lowest = from.get(place)
          if (lowest === undefined || position.offset < lowest.offset) from.set(place, position)
        }
      }
    }
    return from.size === 0 ? undefined : [...from.values()]
  }

  /** Replies are being received. What has none is unknown only when all that stood in the log by now was read. */
  begin(routes: ReplyRoutes): void {
    this.#openedAt = this.#options.clock.monotonic()
    this.#deadlines.begin(async (replyTopic) => routes.at(replyTopic).caughtUp())
  }

  /** Takes a reply that nobody else waits for; false when it is not to one of these requests. */
  take(id: string, record: IncomingRecord): boolean {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined || this.#stopped) return false
    const { maxBytes, journal, pending, warnings } = this.#options
    const { late } = waiting
    if (!late) this.#untold--
    if (this.#bytes > 0 && this.#bytes + record.size > maxBytes) {
      this.#waiting.delete(id)
      this.#left++
      warnings.tell(
        'more replies to recovered requests have come than may be held (maxPendingBytes) before onRecovered is done ' +
          'with them: this request stays in the journal, for the next start',
      )
      return true
    }
    const remote = readReplyError(this.#options.profile, record.headers)
    const open = leavesOpen(remote) && journal.keepUnknown > 0
    if (open) waiting.late = true
    else this.#waiting.delete(id)
    // What comes after it is a second one.
    if (!leavesOpen(remote)) {
      const correlationId = Buffer.from(id, 'latin1')
      pending().remembered.answered(correlationId, fingerprintOf(record.value, remote?.code), record)
    }
    this.#bytes += record.size
    this.#turns.add({ waiting, late, record: copyOf(record), failures: 0 })
    return true
  }

  /** A request of this process has its outcome: it is finished when `beforeFinish` is done with it, and then `done`. */
  finishOwn(pending: PendingReply, came: Reply<unknown> | MilenaError, done: () => void): void {
    this.#own++
    const waiting = { id: pending.id, deadline: 0, late: false }
    this.#turns.add({ waiting, late: false, record: undefined, failures: 0, own: { came, done } })
  }

  counts(): RecoveryCounts {
    return {
      recovering: this.#untold + this.#turns.size + this.#retrying - this.#own,
      finishing: this.#own,
      recovered: this.#recovered,
      left: this.#left,
    }
  }

  /** Nothing more is handed over. */
  stop(): void {
    this.#stopped = true
    this.#deadlines.stop()
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
    this.#turns.stop()
  }

  /** What is there to be handed over is handed over within `timeout` ms; the rest stays in the journal. */
  async close(timeout: number): Promise<void> {
    if (this.#turns.running > 0 && !this.#stopped) await this.#idle(timeout)
    this.stop()
  }

  #idle(timeout: number): Promise<void> {
    return new Promise<void>((resolve) => {
      const timer = this.#options.clock.schedule(timeout, resolve)
      void this.#turns.idle().then(() => {
        timer.cancel()
        resolve()
      })
    })
  }

  /** Its deadline has passed, and no reply stood in the log. */
  #expire(waiting: Waiting): void {
    this.#untold--
    if (this.#options.journal.keepUnknown > 0) waiting.late = true
    else this.#waiting.delete(waiting.id)
    this.#turns.add({ waiting, late: false, record: undefined, failures: 0 })
  }

  #later(delay: number, run: () => void): void {
    const timer = this.#options.clock.schedule(Math.max(1, Math.ceil(delay)), () => {
      this.#timers.delete(timer)
      run()
    })
    this.#timers.add(timer)
  }

  async #handOver(items: readonly Item[]): Promise<void> {
    let entries: readonly JournalEntry[]
    try {
      entries = await this.#journal!.read(items.map(({ waiting }) => Buffer.from(waiting.id, 'latin1')))
    } catch (thrown) {
      this.#options.warnings.tell('the journal has a trouble', {}, thrown)
      for (const item of items) this.#again(item)
      return
    }
    const byId = new Map(entries.map((entry) => [entry.correlationId.toString('latin1'), entry]))
    for (const item of items) {
      const entry = byId.get(item.waiting.id)
      if (this.#stopped) return
      // What is not there any more had been kept, and that is over.
      if (entry === undefined) this.#letGo(item)
      else await this.#handOverOne(item, entry)
    }
  }

  async #handOverOne(item: Item, entry: JournalEntry): Promise<void> {
    const { journal, warnings } = this.#options
    const operation = journal.operations.get(entry.operation)
    if (operation === undefined) {
      this.#letGo(item)
      this.#left++
      warnings.tell('a request stays in the journal: journal.operations does not have its operation', {
        operation: entry.operation,
      })
      return
    }
    try {
      const recovered = await this.#outcomeOf(item, entry, operation)
      await (item.own === undefined ? journal.onRecovered(recovered) : journal.beforeFinish!(recovered))
      this.#letGo(item)
      if (item.own === undefined) this.#recovered++
      this.#finish(item, recovered.error)
    } catch (thrown) {
      warnings.tell(`${item.own === undefined ? 'onRecovered' : 'beforeFinish'} failed`, {}, thrown)
      this.#again(item)
    }
  }

  async #outcomeOf(
    { record, late, own }: Item,
    entry: JournalEntry,
    operation: AnyOperation,
  ): Promise<ReturnType<typeof recoveredRequest>> {
    const { clock, accounts, maxReplyBytes, defaultReplyTopic, reasonSince } = this.#options
    const { correlationId, key, timeout, acceptedAt, deadline, repliesFrom } = entry
    const replyTopic = repliesFrom[0]?.topic ?? defaultReplyTopic()
    const read = await readRequest(operation, entry)
    const requestError = read instanceof MilenaError ? read : undefined
    const request = requestError === undefined ? (read as { readonly value: unknown }).value : undefined
    const pending = new PendingReply(operation, accounts.of(operation), request)
    Object.assign(pending, { correlationId, key, timeout, doubtful: true })
    const outcome =
      own?.came ??
      (record === undefined
        ? timedOut(pending, replyTopic, reasonSince(this.#openedAt, replyTopic))
        : await readReply(
            pending,
            record,
            readReplyError(this.#options.profile, record.headers),
            clock.now() - acceptedAt,
            maxReplyBytes,
          ))
    const failed = outcome instanceof MilenaError
    return recoveredRequest(operation, {
      request,
      requestError,
      correlationId: correlationId.toString('hex'),
      key,
      acceptedAt,
      deadline,
      late,
      reply: failed ? undefined : outcome,
      error: failed ? outcome : undefined,
    })
  }

  #finish({ waiting }: Item, error: MilenaError | undefined): void {
    const { clock, journal } = this.#options
    const keep = journal.keepUnknown > 0 && error !== undefined && error.effect === 'unknown'
    this.#journal!.finish(
      Buffer.from(waiting.id, 'latin1'),
      keep ? clock.now() + journal.keepUnknown : undefined,
    )
  }

  #letGo({ record, own }: Item): void {
    this.#bytes -= record?.size ?? 0
    if (own === undefined) return
    this.#own--
    own.done()
  }

  #again(item: Item): void {
    if (this.#stopped) return
    this.#retrying++
    this.#later(Math.min(firstPause * 2 ** item.failures++, longestPause), () => {
      this.#retrying--
      this.#turns.add(item)
    })
  }
}

/** As a replier gets it. */
async function readRequest(
  operation: AnyOperation,
  { topic, value, headers }: JournalEntry,
): Promise<{ readonly value: unknown } | MilenaError> {
  try {
    const decoded = await decodePayload(operation, 'request', { topic, value, headers })
    const checked = await validatePayload(operation, 'request', decoded)
    if ('issues' in checked)
      return new ValidationError('MILENA_REQUEST_INVALID', operation.name, checked.issues)
    return { value: checked.value }
  } catch (thrown) {
    return codecFailed(operation, 'request', 'decoded', thrown)
  }
}
