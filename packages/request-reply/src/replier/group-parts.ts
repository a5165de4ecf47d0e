/** What a replier's work in its group is made of, put together. */
import { AsyncResource } from 'node:async_hooks'
import type { Transport } from '../transport/transport.ts'
import type { Warnings } from '../warnings.ts'
import type { Answers } from './answer.ts'
import { Commits } from './commits.ts'
import { Delays } from './delays.ts'
import { Delivery } from './delivery.ts'
import { Execution } from './execution.ts'
import { Finishing } from './finishing.ts'
import { HandOver } from './hand-over.ts'
import { KeyLanes } from './key-lanes.ts'
import type { ReplierSettings } from './options.ts'
import type { Job, PartitionWork } from './partition-work.ts'
import { pausedFor, Reading } from './reading.ts'
import { ReplyShares } from './reply-shares.ts'
import { Rooms } from './rooms.ts'
import type { Handled, RequestRun } from './run.ts'
import { SlowWork } from './slow-work.ts'
import { Standstills } from './standstills.ts'
import type { ReplierCounters } from './stats.ts'
import { Steps } from './steps.ts'

/** The part of `maxInHand` that replies to one address may have. */
const shareOfAddress = 0.25

export interface GroupWorkOptions {
  readonly settings: ReplierSettings
  readonly topics: readonly string[]
  /** Milliseconds that the records of a topic wait before their turn can come; of those that are not named none. */
  readonly delays?: ReadonlyMap<string, number>
  readonly transport: Transport
  /** Has a record handled, once for each try. Throws for nothing but a fault of its own. */
  readonly handler: { handle(run: RequestRun): Handled }
  readonly answers: Answers
  readonly counters: ReplierCounters
  readonly warnings: Warnings
}

/** What the parts ask of the whole. */
export interface WholeGroup {
  /** Nothing of the partition is begun or committed any more. */
  letGo(work: PartitionWork, reason: Error): void
  /** The transport is closed. */
  loseAll(): void
}

export class GroupParts {
  readonly steps: Steps
  readonly reading: Reading = new Reading()
  readonly commits: Commits
  readonly turns: KeyLanes<Job>
  readonly inHand: Rooms
  readonly shares: ReplyShares
  readonly standstills: Standstills
  readonly delays: Delays
  readonly delivery: Delivery
  readonly finishing: Finishing
  readonly execution: Execution
  readonly handOver: HandOver
  readonly slowWork: SlowWork

  constructor(options: GroupWorkOptions, whole: WholeGroup) {
    const { settings, transport, handler, answers, counters, warnings } = options
    const { groupId, clock, concurrency, profile } = settings
    const { maxAhead, replyGrace, replyTimeout, handlerTimeout, slowAfter, beforeFinish } = settings
    const steps = (this.steps = new Steps(groupId, profile))
    const { reading } = this
    const commits = new Commits({ groupId, interval: settings.commitInterval, clock, counters, warnings })
    this.commits = commits
    // A turn is given in the midst of whatever ended before it, or brought the record: its async context is not ours.
    // Not by `AsyncLocalStorage.snapshot`, which does the same and takes seven times as long.
    const start = new AsyncResource('MilenaReplier', { requireManualDestroy: true })
    const begin = (job: Job): void => this.execution.begin(job)
    const turns = new KeyLanes<Job>({
      concurrency,
      wanted: (job) => job.phase !== 'over' && job.work.wants(job),
      begin: (job) => start.runInAsyncScope(begin, undefined, job),
      dropped: (job) => this.finishing.leave(job, 'dropped'),
    })
    this.turns = turns
    const inHand = new Rooms({
      maxRecords: settings.maxInHand,
      maxBytes: settings.maxInHandBytes,
      pause: (work) => reading.pause(work, pausedFor.room),
      resume: (work) => reading.resume(work, pausedFor.room),
    })
    this.inHand = inHand
    const shares = new ReplyShares(Math.max(1, settings.maxInHand * shareOfAddress), clock, warnings)
    this.shares = shares
    const standstills = new Standstills({ clock, reading, turns, warnings, maxAhead })
    this.standstills = standstills
    this.delays = new Delays({ clock, reading, turns })
    const delivery = new Delivery({
      transport,
      answers,
      clock,
      inHand,
      shares,
      counters,
      warnings,
      steps,
      replyGrace,
      replyTimeout,
      closedBelow: () => whole.loseAll(),
    })
    this.delivery = delivery
    const finishing = new Finishing({
      beforeFinish,
      clock,
      commits,
      inHand,
      standstills,
      counters,
      warnings,
      steps,
    })
    this.finishing = finishing
    this.execution = new Execution({
      clock,
      handler,
      profile,
      delivery,
      finishing,
      standstills,
      turns,
      counters,
      warnings,
      steps,
      handlerTimeout,
      concurrency,
    })
    this.handOver = new HandOver({
      groupId,
      clock,
      commits,
      reading,
      warnings,
      letGo: (work, reason) => whole.letGo(work, reason),
    })
    this.slowWork = new SlowWork({ concurrency, slowAfter, turns, warnings, steps })
  }
}
