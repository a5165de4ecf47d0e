/**
 * What a replier does as a member of its group: takes in records, gives each its turn, answers, commits, and lets go of
 * partitions in good order.
 */
import { requestPassedOver, requestReceived, type HandlingStep } from '../diagnostics.ts'
import { MilenaError } from '../errors.ts'
import type { GroupMembership, IncomingRecord, TopicPartition, Transport } from '../transport/transport.ts'
import { readOperation } from '../wire/milena.ts'
import { Answers } from './answer.ts'
import { Commits } from './commits.ts'
import { Delivery } from './delivery.ts'
import type { HandledTopic } from './dispatch.ts'
import { coordinates, RequestHandler, type Outcome, type PassedOver } from './handling.ts'
import { InHand } from './in-hand.ts'
import { KeyLanes, Lanes } from './key-lanes.ts'
import type { ReplierSettings } from './options.ts'
import { Job, PartitionWork } from './partition-work.ts'
import type { ReplierCounters } from './stats.ts'
import type { Warnings } from './warnings.ts'

/** Milliseconds that the last commit of a partition may take, beyond the drain. */
const commitTimeout = 2_000
/** Milliseconds that the members have, beyond drain and commit, to come back to a rebalance. */
const rebalanceMargin = 3_000

export interface GroupWorkOptions {
  readonly settings: ReplierSettings
  readonly topics: ReadonlyMap<string, HandledTopic>
  readonly transport: Transport
  readonly counters: ReplierCounters
  readonly warnings: Warnings
}

export class GroupWork {
  readonly #settings: ReplierSettings
  readonly #topics: ReadonlyMap<string, HandledTopic>
  readonly #transport: Transport
  readonly #counters: ReplierCounters
  readonly #warnings: Warnings
  readonly #handler: RequestHandler
  readonly #delivery: Delivery
  readonly #commits: Commits
  readonly #turns: KeyLanes<Job>
  readonly #inHand: InHand
  readonly #works = new Map<string, PartitionWork>()
  /** For each partition ever assigned: the lanes, which outlive an assignment, and where reading has come to. */
  readonly #lanes = new Map<string, Lanes<Job>>()
  readonly #seen = new Map<string, number>()
  #membership: GroupMembership | undefined
  #leaving = false

  constructor(options: GroupWorkOptions) {
    const { settings, transport, counters, warnings } = options
    const { groupId, clock } = settings
    this.#settings = settings
    this.#topics = options.topics
    this.#transport = transport
    this.#counters = counters
    this.#warnings = warnings
    const answers = new Answers(settings)
    this.#handler = new RequestHandler({ settings, topics: options.topics, answers, counters, warnings })
    this.#delivery = new Delivery({ groupId, transport, answers, clock, counters, warnings })
    this.#commits = new Commits({ groupId, interval: settings.commitInterval, clock, counters, warnings })
    this.#turns = new KeyLanes<Job>({
      concurrency: settings.concurrency,
      wanted: (job) => job.work.wants(job),
      begin: (job) => {
        void this.#process(job)
      },
      dropped: (job) => this.#inHand.remove(job.work, job.record.size),
    })
    this.#inHand = new InHand({
      maxRecords: settings.maxInHand,
      maxBytes: settings.maxInHandBytes,
      pause: (work) => this.#membership?.pause(work),
      resume: (work) => {
        if (work.held) this.#membership?.resume(work)
      },
    })
  }

  get partitions(): number {
    return this.#works.size
  }

  get running(): number {
    return this.#turns.running
  }

  get inHand(): InHand {
    return this.#inHand
  }

  /** Resolves when the group has been joined and the assigned partitions are at their positions. */
  async join(): Promise<void> {
    const { groupId, from, groupInstanceId, sessionTimeout, heartbeatInterval, drainTimeout } = this.#settings
    this.#membership = await this.#transport.join({
      groupId,
      topics: [...this.#topics.keys()],
      from,
      groupInstanceId,
      sessionTimeout,
      heartbeatInterval,
      rebalanceTimeout: drainTimeout + commitTimeout + rebalanceMargin,
      drainTimeout: drainTimeout + commitTimeout,
      onAssigned: (partitions) => this.#assign(partitions),
      onRecords: (records) => this.#receive(records),
      onRevoked: (partitions) => this.#revoke(partitions),
      onLost: (partitions) => this.#lose(partitions),
      onError: (error) => this.#warnings.tell('reading requests is disturbed', { groupId }, error),
    })
    // What had to be paused before there was a membership to pause it.
    for (const work of this.#works.values()) if (work.paused) this.#membership.pause(work)
    this.#commits.joined(this.#membership)
  }

  /** Takes nothing more, waits up to `timeout` ms for what runs, commits and leaves the group. Never rejects. */
  async leave(timeout: number): Promise<void> {
    this.#leaving = true
    const works = [...this.#works.values()]
    for (const work of works) this.#membership?.pause(work)
    await this.#settle(works, timeout, new MilenaError('MILENA_CLOSED', 'the replier is closing'))
    try {
      await this.#membership?.close()
    } catch (error) {
      this.#warnings.tell('leaving the group failed', { groupId: this.#settings.groupId }, error)
    }
    this.#commits.close()
  }

  #assign(partitions: readonly TopicPartition[]): void {
    for (const at of partitions) {
      const key = keyOf(at)
      const before = this.#works.get(key)
      if (before !== undefined) this.#letGo(before, moved(at))
      let lanes = this.#lanes.get(key)
      if (lanes === undefined) this.#lanes.set(key, (lanes = new Lanes()))
      const work = new PartitionWork(at, lanes)
      this.#works.set(key, work)
      this.#inHand.enter(work)
    }
  }

  #receive(records: readonly IncomingRecord[]): void {
    const [first] = records
    if (first === undefined || this.#leaving) return
    const key = keyOf(first)
    const work = this.#works.get(key)
    if (!work?.held) return
    const seen = this.#seen.get(key) ?? 0
    for (const record of records) {
      this.#counters.received++
      if (record.offset < seen) this.#counters.redelivered++
      if (requestReceived.hasSubscribers) requestReceived.publish(this.#step(record))
      const job = new Job(record, work)
      work.tracker.add(job)
      this.#inHand.add(work, record.size)
      this.#turns.add(job)
    }
    this.#seen.set(key, Math.max(seen, records.at(-1)!.offset + 1))
    this.#turns.look()
  }

  /** Never rejects. With the handling's and the delivery's, one of the three async functions of a request. */
  async #process(job: Job): Promise<void> {
    const { record, work } = job
    work.begun(job)
    try {
      let outcome: Outcome
      try {
        outcome = await this.#handler.handle(record, work)
      } catch (error) {
        this.#warnings.tell('a request could not be handled', coordinates(record), error)
        outcome = { reason: 'internal', detail: 'a fault of the library' }
      }
      // The reply is on its way before the next request of its key begins …
      const delivering =
        typeof outcome === 'object' && 'record' in outcome && this.#delivery.deliver(outcome, work)
      this.#turns.done(job)
      // … and acknowledged before its own request is finished.
      const end = delivering === false ? outcome : await delivering
      // Left unfinished, so that no commit passes it: it comes again.
      if (end === 'abandoned' || end === 'given up') return
      if (typeof end === 'object' && 'reason' in end) this.#passOver(record, end)
      if (work.finish(job) && !work.gone) this.#commits.touch(work)
      this.#inHand.remove(work, record.size)
    } catch (error) {
      this.#warnings.tell('a request was left as it is', coordinates(record), error)
    }
  }

  #passOver(record: IncomingRecord, { reason, detail }: PassedOver): void {
    this.#counters.countPassedOver(reason)
    this.#warnings.tell('a request cannot be answered and was passed over', {
      ...coordinates(record),
      bytes: record.size,
      reason,
      detail,
    })
    if (requestPassedOver.hasSubscribers) requestPassedOver.publish({ ...this.#step(record), reason })
  }

  #revoke(partitions: readonly TopicPartition[]): Promise<void> {
    const works = partitions.flatMap((at) => this.#works.get(keyOf(at)) ?? [])
    return this.#settle(works, this.#settings.drainTimeout, moved(partitions[0]))
  }

  #lose(partitions: readonly TopicPartition[]): void {
    for (const at of partitions) {
      const work = this.#works.get(keyOf(at))
      if (work !== undefined) this.#letGo(work, moved(at))
    }
  }

  /** Finishes what has begun, within `timeout` ms, then commits, then lets go. */
  async #settle(works: readonly PartitionWork[], timeout: number, reason: Error): Promise<void> {
    if (works.length === 0) return
    const drained = await this.#within(timeout, Promise.all(works.map((work) => work.drain())))
    if (!drained) {
      this.#warnings.tell('handlers did not end in time; their requests will be handled again', {
        groupId: this.#settings.groupId,
        waited: timeout,
        partitions: works.filter((work) => !work.isDrained).map(keyOf),
      })
    }
    await this.#within(commitTimeout, this.#commitAll(works))
    for (const work of works) this.#letGo(work, reason)
  }

  /** Commits until everything of these partitions is committed, or they are gone or fenced. */
  async #commitAll(works: readonly PartitionWork[]): Promise<void> {
    for (let fenced = 0; fenced < 2;) {
      const failure = await this.#commits.flush()
      if (works.every((work) => work.gone || work.tracker.next === work.committed)) return
      if (failure === undefined) return
      if (failure instanceof MilenaError && failure.code === 'MILENA_COMMIT_FENCED') fenced++
      await new Promise<void>((resolve) => this.#settings.clock.schedule(100, resolve))
    }
  }

  #letGo(work: PartitionWork, reason: Error): void {
    work.letGo(reason)
    this.#inHand.forget(work)
    const key = keyOf(work)
    if (this.#works.get(key) === work) this.#works.delete(key)
  }

  /** True when the promise was settled in time. */
  #within(timeout: number, promise: Promise<unknown>): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#settings.clock.schedule(timeout, () => resolve(false))
      const end = (): void => {
        timer.cancel()
        resolve(true)
      }
      promise.then(end, end)
    })
  }

  #step(record: IncomingRecord): HandlingStep {
    const asked = this.#settings.profile.readReplyRequest(record.headers)
    return {
      operation: readOperation(record.headers),
      correlationId: typeof asked === 'string' ? undefined : asked.correlationId.toString('hex'),
      groupId: this.#settings.groupId,
      position: coordinates(record),
    }
  }
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

function moved(at: TopicPartition | undefined): Error {
  const what = at === undefined ? 'a partition' : keyOf(at)
  return new MilenaError('MILENA_COMMIT_FENCED', `${what} now belongs to another replier of the group`)
}
