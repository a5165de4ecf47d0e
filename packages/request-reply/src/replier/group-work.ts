/**
 * What a replier does as a member of its group: takes in records, gives each its turn, and lets go of partitions in good
 * order. What becomes of a record: `execution.ts`.
 */
import { requestReceived } from '../diagnostics.ts'
import { MilenaError } from '../errors.ts'
import type {
  GroupMembership,
  IncomingRecord,
  CommittedOffset,
  TopicPartition,
  Transport,
  Trouble,
  UnreadableRange,
  LossReason,
} from '../transport/transport.ts'
import { keyOf } from '../transport/partition-key.ts'
import type { Commits } from './commits.ts'
import type { Delivery } from './delivery.ts'
import type { Execution } from './execution.ts'
import { FinishedAhead } from './finished-ahead.ts'
import type { Finishing } from './finishing.ts'
import { commitTimeout, type HandOver } from './hand-over.ts'
import type { OldestInHand, ReplierHealth } from './health.ts'
import type { Delays } from './delays.ts'
import type { KeyLanes } from './key-lanes.ts'
import type { ReplierSettings } from './options.ts'
import { Job, PartitionPast, PartitionWork } from './partition-work.ts'
import type { Reading } from './reading.ts'
import type { Rooms } from './rooms.ts'
import type { ReplyShares } from './reply-shares.ts'
import { describe, oldestOf, type SlowWork } from './slow-work.ts'
import type { Standstills } from './standstills.ts'
import type { ReplierCounters } from './stats.ts'
import type { Steps } from './steps.ts'
import type { Warnings } from '../warnings.ts'
import { Watch } from './watch.ts'
import { GroupParts, type GroupWorkOptions } from './group-parts.ts'

/** Milliseconds that the members have, beyond drain and commit, to come back to a rebalance. */
const rebalanceMargin = 3_000

export class GroupWork {
  readonly inHand: Rooms
  readonly #settings: ReplierSettings
  readonly #topics: readonly string[]
  readonly #delayOf: ReadonlyMap<string, number>
  readonly #transport: Transport
  readonly #counters: ReplierCounters
  readonly #warnings: Warnings
  readonly #steps: Steps
  readonly #reading: Reading
  readonly #commits: Commits
  readonly #turns: KeyLanes<Job>
  readonly #shares: ReplyShares
  readonly #standstills: Standstills
  readonly #delays: Delays
  readonly #delivery: Delivery
  readonly #finishing: Finishing
  readonly #execution: Execution
  readonly #handOver: HandOver
  readonly #slowWork: SlowWork
  readonly #watch: Watch
  readonly #works = new Map<string, PartitionWork>()
  /** For each partition ever assigned, what outlives an assignment. */
  readonly #pasts = new Map<string, PartitionPast>()
  #membership: GroupMembership | undefined
  #leaving = false

  constructor(options: GroupWorkOptions) {
    const { settings, topics, transport, counters, warnings } = options
    this.#settings = settings
    this.#topics = topics
    this.#delayOf = options.delays ?? new Map()
    this.#transport = transport
    this.#counters = counters
    this.#warnings = warnings
    const parts = new GroupParts(options, {
      letGo: (work, reason) => this.#letGo(work, reason),
      loseAll: () => this.#loseAll(),
    })
    this.inHand = parts.inHand
    this.#steps = parts.steps
    this.#reading = parts.reading
    this.#commits = parts.commits
    this.#turns = parts.turns
    this.#shares = parts.shares
    this.#standstills = parts.standstills
    this.#delays = parts.delays
    this.#delivery = parts.delivery
    this.#finishing = parts.finishing
    this.#execution = parts.execution
    this.#handOver = parts.handOver
    this.#slowWork = parts.slowWork
    this.#watch = new Watch(settings.clock, () => this.#look())
  }

  get partitions(): number {
    return this.#works.size
  }

  get running(): number {
    return this.#turns.running
  }

  /** Records of the held partitions that are not finished; `undefined` where the transport cannot say. */
  get lag(): number | undefined {
    const unread = this.#membership?.unread?.()
    return unread === undefined ? undefined : unread + this.inHand.records
  }

  /** Records of retry topics whose time has not come. */
  get delayed(): number {
    let delayed = 0
    for (const work of this.#works.values()) delayed += work.delayed.length
    return delayed
  }

  get leftBehind(): number {
    return this.#execution.limits.leftBehind
  }

  get unacknowledged(): number {
    return this.#shares.waiting
  }

  get oldestInHand(): OldestInHand | undefined {
    const oldest = oldestOf(this.#works.values())
    return oldest && describe(oldest, this.#steps, this.#settings.clock.monotonic())
  }

  get health(): ReplierHealth {
    const troubles = this.#membership?.troubles() ?? []
    const out = troubles.some(({ kind }) => kind === 'not-a-member' || kind === 'closed')
    return {
      joined: this.#membership !== undefined && !this.#leaving && !out,
      partitions: this.#works.size,
      stopped: [...this.#works.values()].flatMap(({ topic, partition, standstill }) =>
        standstill === undefined ? [] : [{ topic, partition, ...standstill }],
      ),
      troubles,
      oldestInHand: this.oldestInHand,
      slotsTaken: this.#turns.running,
      concurrency: this.#settings.concurrency,
      leftBehind: this.leftBehind,
      undeliverable: this.#shares.undeliverable,
    }
  }

  /**
   * Resolves when the group has been joined and the assigned partitions are at their positions.
   *
   * @param signal ends the joining; the group has no member of ours then
   */
  async join(signal?: AbortSignal): Promise<void> {
    const { groupId, from, groupInstanceId, sessionTimeout, heartbeatInterval, drainTimeout } = this.#settings
    const membership = await this.#transport.join({
      groupId,
      topics: this.#topics,
      from,
      groupInstanceId,
      sessionTimeout,
      heartbeatInterval,
      rebalanceTimeout: drainTimeout + commitTimeout + rebalanceMargin,
      drainTimeout: drainTimeout + commitTimeout,
      signal,
      onAssigned: (partitions) => this.#assign(partitions),
      onCommitted: (committed) => this.#begin(committed),
      onRecords: (records, appendedAfter) => this.#receive(records, appendedAfter),
      onUnreadable: (range) => this.#receiveUnreadable(range),
      onRevoked: (partitions) => this.#revoke(partitions),
      onLost: (partitions, why) => this.#lose(partitions, why),
      onTrouble: (troubles) => this.#troubled(troubles),
      onWaiting: (waiting) =>
        this.#warnings.tell(
          'the start waits for the group: a member may have died without leaving, and the group waits for its session to end',
          { groupId, ...waiting },
        ),
      onError: (error) => this.#warnings.tell('reading requests is disturbed', {}, error),
    })
    this.#membership = membership
    this.#reading.joined(membership, this.#works.values())
    this.#commits.joined(membership)
  }

  /** Takes nothing more, waits up to `timeout` ms for what runs, commits and leaves the group. Never rejects. */
  async leave(timeout: number): Promise<void> {
    this.#leaving = true
    const reason = new MilenaError('MILENA_CLOSED', 'the replier is closing')
    // What the brokers cannot be told any more is not worth waiting for.
    if (this.#membership?.troubles().some(({ kind }) => kind === 'closed')) this.#loseAll()
    await this.#handOver.settle([...this.#works.values()], { timeout, linger: false, reason })
    try {
      await this.#membership?.close()
    } catch (error) {
      this.#warnings.tell('leaving the group failed', {}, error)
    }
    this.#commits.close()
    this.#watch.close()
  }

  #assign(partitions: readonly TopicPartition[]): void {
    for (const at of partitions) {
      const key = keyOf(at)
      const before = this.#works.get(key)
      if (before !== undefined) this.#letGo(before, moved(at))
      let past = this.#pasts.get(key)
      if (past === undefined) this.#pasts.set(key, (past = new PartitionPast()))
      const work = new PartitionWork(at, past, this.#delayOf.get(at.topic))
      this.#works.set(key, work)
      this.inHand.of(work).enter(work)
    }
  }

  #begin(committed: CommittedOffset): void {
    const work = this.#works.get(keyOf(committed))
    if (work !== undefined) work.finishedAhead = FinishedAhead.read(committed)
  }

  #receive(records: readonly IncomingRecord[], appendedAfter: number | undefined): void {
    const [first] = records
    const work = first && this.#taking(first)
    if (work === undefined) return
    const { past } = work
    const now = this.#settings.clock.monotonic()
    for (const record of records) {
      this.#counters.received++
      if (work.finishedAhead?.hasRecord(record)) {
        this.#passOver(work, record.offset, record.offset + 1)
        continue
      }
      const job = new Job(record, work, now, appendedAfter)
      if (record.offset < past.seen) {
        job.redelivered = true
        this.#counters.redelivered++
      }
      if (requestReceived.hasSubscribers) requestReceived.publish(this.#steps.of(job))
      this.#take(job)
    }
    past.seen = Math.max(past.seen, records.at(-1)!.offset + 1)
    this.#go(work)
  }

  #receiveUnreadable(range: UnreadableRange): void {
    const work = this.#taking(range)
    if (work === undefined) return
    if (work.finishedAhead?.hasStretch(range)) this.#passOver(work, range.offset, range.next)
    else this.#take(new Job(range, work, this.#settings.clock.monotonic()))
    work.past.seen = Math.max(work.past.seen, range.next)
    this.#go(work)
  }

  /** A former owner has finished it. */
  #passOver(work: PartitionWork, offset: number, next: number): void {
    const { topic, partition, past, tracker } = work
    this.#counters.repeated++
    if (offset < past.seen) this.#counters.redelivered++
    if (!work.toldPassed) {
      work.toldPassed = true
      this.#warnings.tell(
        'requests came again that the former owner of their partition had finished; they are not handled again',
        { topic, partition, offset },
      )
    }
    work.committedRecords++
    if (!tracker.pass(offset, next)) return
    this.#commits.touch(work)
    this.#standstills.moved(work)
  }

  #taking(at: TopicPartition): PartitionWork | undefined {
    const work = this.#leaving ? undefined : this.#works.get(keyOf(at))
    return work?.takes ? work : undefined
  }

  #take(job: Job): void {
    job.work.tracker.add(job)
    this.inHand.of(job.work).add(job.work, job.bytes)
    if (!this.#delays.take(job)) this.#turns.add(job)
  }

  #go(work: PartitionWork): void {
    if (work.finishedAhead?.over) work.finishedAhead = undefined
    this.#standstills.read(work)
    this.#watch.wake()
    this.#turns.look()
  }

  #revoke(partitions: readonly TopicPartition[]): Promise<void> {
    const works = partitions.flatMap((at) => this.#works.get(keyOf(at)) ?? [])
    const reason = moved(partitions[0])
    return this.#handOver.settle(works, { timeout: this.#settings.drainTimeout, linger: true, reason })
  }

  #lose(partitions: readonly TopicPartition[], why: LossReason = 'taken'): void {
    const gone = why === 'log-gone'
    let unfinished = 0
    let uncommitted = 0
    for (const at of partitions) {
      const work = this.#works.get(keyOf(at))
      if (work === undefined) continue
      unfinished += work.records
      uncommitted += work.tracker.finished - work.committedRecords
      this.#letGo(work, gone ? logGone(at) : moved(at))
      // What it has by offset is of other records.
      if (gone) this.#pasts.delete(keyOf(at))
    }
    if (unfinished + uncommitted === 0) return
    const text = gone
      ? 'the logs of partitions are gone (a topic was made anew, or cut); what was in hand of them is not answered'
      : 'partitions were lost to the group; what was in hand comes again'
    this.#warnings.tell(text, {
      groupId: this.#settings.groupId,
      partitions: partitions.length,
      unfinished,
      uncommitted,
    })
  }

  #troubled(troubles: readonly Trouble[]): void {
    if (troubles.some(({ kind }) => kind === 'closed')) this.#loseAll()
  }

  /** The transport is closed: nothing can be answered or committed any more. */
  #loseAll(): void {
    const reason = new MilenaError('MILENA_CLOSED', 'the transport of the replier was closed')
    for (const work of this.#works.values()) this.#letGo(work, reason)
  }

  #letGo(work: PartitionWork, reason: Error): void {
    if (!work.gone) this.#drop(work, reason)
    const key = keyOf(work)
    if (this.#works.get(key) === work) this.#works.delete(key)
  }

  #drop(work: PartitionWork, reason: Error): void {
    const parked = [...work.parked.keys()]
    work.letGo(reason)
    this.inHand.of(work).forget(work)
    for (let job = work.tracker.first; job !== undefined; job = job.following) {
      this.#execution.limits.forget(job)
      if (job.phase === 'waiting') this.#finishing.leave(job, 'dropped')
    }
    for (const job of parked) {
      if (job.phase !== 'parked') continue
      this.#finishing.leave(job, 'dropped')
      this.#turns.drop(job)
    }
    this.#standstills.forget(work)
    this.#turns.look()
  }

  /** Looks at what takes long; whether there is anything left to look at. */
  #look(): boolean {
    const now = this.#settings.clock.monotonic()
    this.inHand.setAside(this.#shares.look(now))
    this.#slowWork.lookAtSlots(now)
    for (const { tracker } of this.#works.values()) {
      for (let job = tracker.first; job !== undefined; job = job.following) {
        this.#slowWork.look(job, now)
        this.#delivery.look(job, now)
      }
    }
    return this.inHand.records > 0 || this.#turns.running > 0 || this.#shares.waiting > 0
  }
}

function moved(at: TopicPartition | undefined): Error {
  const what = at === undefined ? 'a partition' : keyOf(at)
  return new MilenaError('MILENA_COMMIT_FENCED', `${what} now belongs to another replier of the group`)
}

function logGone(at: TopicPartition): Error {
  return new MilenaError('MILENA_COMMIT_FENCED', `the log of ${keyOf(at)} is gone, and this request with it`)
}
