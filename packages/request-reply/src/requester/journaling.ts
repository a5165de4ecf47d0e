/**
 * A requester's journal at work.
 *
 *   accepted ─▶ appended ──written──▶ sent ─▶ … ─▶ its outcome ──▶ finished
 *                  │  └────failed───▶ MILENA_JOURNAL_FAILED: not sent
 *                  └─given up meanwhile─▶ not sent; finished as soon as it is written
 *
 * Two outcomes leave the entry where it is: `close()`, so that whoever comes next takes over as after a kill, and that
 * somebody else has taken the journal. One that was told as unknown is kept for `keepUnknown`.
 */
import type { AnyOperation } from '../contract/operation.ts'
import type { RequestOutcome } from '../diagnostics.ts'
import { MilenaError, OptionsError } from '../errors.ts'
import { journalFailed, type JournalStats, type OpenJournal } from '../journal/journal.ts'
import type { ReplyRoutes } from '../routing/reply-routes.ts'
import type { RecordPosition } from '../transport/transport.ts'
import type { Caps } from './caps.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { JournalSettings } from './journal-options.ts'
import type { RequesterSettings } from './options.ts'
import { journalRefused, sentStateOf } from './outcome-errors.ts'
import type { PendingReply } from './pending.ts'
import type { PendingReplies } from './pending-replies.ts'
import type { Recovery } from './recovery.ts'
import type { Reply } from './reply.ts'
import type { JournalHealth } from './stats.ts'

export interface JournalingOptions {
  readonly settings: Pick<RequesterSettings, 'clock' | 'random' | 'instanceId'>
  readonly journal: JournalSettings
  readonly recovery: Recovery
  readonly dispatcher: Dispatcher
  readonly pending: PendingReplies
  readonly caps: Caps
  readonly warn: (thrown: unknown) => void
  /** No request is accepted any more. */
  onTaken(error: MilenaError): void
}

function isOurs(came: unknown): came is MilenaError {
  return came instanceof MilenaError
}

const unopened: JournalStats = { writing: 0, groups: 0, appended: 0, trouble: undefined }

export class Journaling {
  readonly #options: JournalingOptions
  #journal: OpenJournal | undefined
  #taken: MilenaError | undefined

  constructor(options: JournalingOptions) {
    this.#options = options
  }

  /** Opens it; gives back from where replies to what is in it are to be read. */
  async open(): Promise<readonly RecordPosition[] | undefined> {
    const { settings, journal, recovery, warn } = this.#options
    const { clock, random, instanceId } = settings
    const opened = await journal.store.open({
      instanceId,
      takeOver: journal.takeOver,
      clock,
      random,
      onTaken: (error) => this.#lose(error),
      warn: (error) => warn(error),
    })
    this.#journal = opened
    return recovery.load(opened)
  }

  /** @throws OptionsError when the routing cannot say from where replies can appear */
  begin(routes: ReplyRoutes): void {
    const { recovery } = this.#options
    const without = routes.all.find((routing) => routing.positions().length === 0)
    if (without !== undefined) {
      throw new OptionsError('createRequester', [
        `reply routing ${without.name} cannot say from where replies can appear, so what stands in a ` +
          'journal could not be finished after a restart; replyPartition and sharedReplyTopic can',
      ])
    }
    recovery.begin(routes)
  }

  /** Why no request is accepted any more: somebody else has the journal. */
  get taken(): MilenaError | undefined {
    return this.#taken
  }

  covers(operation: AnyOperation): boolean {
    return this.#options.journal.operations.has(operation.name)
  }

  /** Writes it down, and then sends it, if it is still wanted. Never throws. */
  write(pending: PendingReply, repliesFrom: readonly RecordPosition[]): void {
    const { operation, correlationId, key, value, headers, timeout } = pending
    const acceptedAt = this.#options.settings.clock.now()
    pending.journaled = true
    pending.writing = true
    pending.held = true
    const left = pending.expiresAt - pending.acceptedAt
    this.#journal!
      .append({
        correlationId,
        operation: operation.name,
        topic: operation.topic,
        key,
        value,
        headers,
        timeout,
        acceptedAt,
        deadline: acceptedAt + left,
        repliesFrom,
      })
      .then(
        () => this.#written(pending),
        (error: unknown) => this.#failed(pending, error),
      )
  }

  /** A request has its outcome: what came, or the error that its caller gets. */
  ended(pending: PendingReply, outcome: RequestOutcome, came: Reply<unknown> | Error): void {
    if (pending.writing) return
    const { journal, recovery, settings } = this.#options
    const sent = sentStateOf(pending)
    if (this.#taken !== undefined || (outcome === 'abandoned' && sent !== 'no')) return this.#letGo(pending)
    if (journal.beforeFinish !== undefined && sent !== 'no' && (!(came instanceof Error) || isOurs(came)))
      return recovery.finishOwn(pending, came, () => this.#letGo(pending))
    this.#letGo(pending)
    const { keepUnknown } = journal
    const unknown = isOurs(came) && came.effect === 'unknown' && sent !== 'no'
    if (unknown && keepUnknown > 0) this.#finish(pending, settings.clock.now() + keepUnknown)
    else this.#finish(pending)
  }

  /** What came late was handed over. */
  cameLate(pending: PendingReply): void {
    if (this.#options.journal.keepUnknown > 0 && this.#taken === undefined) this.#finish(pending)
  }

  health(): JournalHealth {
    const { journal, recovery } = this.#options
    const { writing, groups, appended, trouble } = this.#journal?.stats() ?? unopened
    return {
      store: journal.store.name,
      writing,
      groups,
      appended,
      trouble,
      taken: this.#taken,
      ...recovery.counts(),
    }
  }

  /** @param timeout milliseconds that handlers of what was recovered may go on */
  async close(timeout: number): Promise<void> {
    await this.#options.recovery.close(timeout)
    try {
      await this.#journal?.close()
    } catch (thrown) {
      this.#options.warn(thrown)
    }
  }

  #written(pending: PendingReply): void {
    pending.writing = false
    if (pending.stage === 'pending') {
      pending.held = this.#options.journal.beforeFinish !== undefined
      return this.#options.dispatcher.send(pending)
    }
    this.#letGo(pending)
    if (this.#taken === undefined) this.#finish(pending)
  }

  /** What could not be written may be there all the same. */
  #failed(pending: PendingReply, thrown: unknown): void {
    const { journal, pending: all } = this.#options
    pending.writing = false
    const error =
      thrown instanceof MilenaError
        ? thrown
        : journalFailed(journal.store.name, 'it cannot be written', thrown)
    if (pending.stage === 'pending') {
      pending.held = false
      all.refuseUnsent(pending, journalRefused(pending, error))
    } else {
      this.#letGo(pending)
      if (this.#taken === undefined) this.#finish(pending)
    }
  }

  /** Of a request that has its outcome. */
  #letGo(pending: PendingReply): void {
    if (!pending.held) return
    pending.held = false
    if (pending.inFlight === 0) this.#options.caps.letGo(pending.bytes)
  }

  #finish({ correlationId }: PendingReply, keepUntil?: number): void {
    this.#journal!.finish(correlationId, keepUntil)
  }

  #lose(error: MilenaError): void {
    if (this.#taken !== undefined) return
    this.#taken = error
    const { recovery, pending, warn } = this.#options
    warn(error)
    recovery.stop()
    pending.abandon(error)
    this.#options.onTaken(error)
  }
}
