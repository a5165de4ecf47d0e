/**
 * The partitions that a member holds: their positions, their reading, and how they are let go of.
 *
 * One time that a partition is held, a holding:
 *
 *              position known                 revoked, or the member closes
 *   assigned ──────────────────▶ reading ───────────────────────────────────▶ draining ──▶ over
 *      ▲  │                      │  │                                            ▲  onRevoked settled,
 *      │  └──────────────────────│──┴── lost: at once ──────────────────────────┘  or drain timeout, or lost
 *      └── its log is gone: over, and another begins if the topic is there
 *
 * From when its position is known until the holding is over its records are handed over, in `draining` too, and it can be
 * committed; nothing of either afterwards. While something drains the member does not join anew, so nothing is given to it
 * that it has not let go of.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { errorOf } from '../../../words.ts'
import { keyOf } from '../../partition-key.ts'
import type { GroupOptions, LossReason, OffsetToCommit, TopicPartition } from '../../transport.ts'
import type { Connections } from '../connection/connections.ts'
import type { ReadPartition } from '../reading/broker-fetcher.ts'
import { commitRefused, type RefusedCommit } from '../../commit-refusals.ts'
import { GroupCommits, type CommitHolding, type ToCommit } from './commits.ts'
import type { Committed, GroupCoordinator, Identity } from './coordinator-requests.ts'
import { GroupPositions } from './positions.ts'
import type { Troubles } from '../../troubles.ts'
import { LONGEST_ELECTION } from '../cluster/elections.ts'
import type { Metadata } from '../cluster/metadata.ts'
import { LogReader } from '../reading/log-reader.ts'

/** Milliseconds that a start waits for the positions of its partitions: one whose leader is away keeps it no longer. */
const READY_LIMIT = 2_000

interface Holding extends CommitHolding {
  held: boolean
  draining: Drain | undefined
  paused: boolean
  /** What the group had committed when the holding began: a commit of less would set the group back. */
  floor: number
  /** It took the place of one whose log is gone. */
  anew: boolean
  /** `undefined` until its position is known. */
  reading: ReadPartition | undefined
}

/** Holdings that are let go of together. */
interface Drain {
  /** How many of them are not over. */
  left: number
  readonly allOver: () => void
}

export interface PartitionsOptions {
  readonly group: GroupOptions
  readonly drainTimeout: number
  readonly connections: Connections
  readonly metadata: Metadata
  readonly coordinator: GroupCoordinator
  readonly identity: () => Identity | undefined
  readonly doubt: () => void
  /** While false, nothing is handed over: this process may have been stopped and lost its partitions. */
  readonly mayDeliver: () => boolean
  /** Nothing drains any more. */
  readonly onDrained: () => void
  readonly troubles: Troubles
  readonly onError: (error: Error) => void
}

export class GroupPartitions {
  readonly commits: GroupCommits
  readonly #options: PartitionsOptions
  readonly #reader: LogReader
  #lookReady: (() => void) | undefined
  readonly #positions: GroupPositions<Holding>
  readonly #holdings = new Map<string, Holding>()
  readonly #drains = new Set<Promise<void>>()

  constructor(options: PartitionsOptions) {
    const { connections, metadata, group, coordinator, troubles } = options
    this.#options = options
    this.commits = new GroupCommits({
      groupId: group.groupId,
      coordinator,
      identity: options.identity,
      doubt: options.doubt,
    })
    this.#reader = new LogReader(connections, metadata, {
      onRecords: (records, appendedAfter) => group.onRecords(records, appendedAfter),
      onUnreadable: (range) => group.onUnreadable?.(range),
      onTrouble: (reading) => troubles.read(reading),
      onError: options.onError,
      mayDeliver: options.mayDeliver,
      onEndsKnown: () => this.#lookReady?.(),
      onRestart: (reading) => this.#restart(reading),
    })
    this.#positions = new GroupPositions<Holding>({
      group,
      connections,
      metadata,
      coordinator,
      commits: this.commits,
      troubles,
      onError: options.onError,
      begin: (holding, offset, committed) => this.#begin(holding, offset, committed),
    })
  }

  /** What this member claims when it joins: all that it has not been told to let go of. */
  get owned(): TopicPartition[] {
    return [...this.#holdings.values()].filter(isKept).map(bare)
  }

  /** Whether partitions are being let go of. */
  get draining(): boolean {
    return this.#drains.size > 0
  }

  /**
   * Resolves when everything that is held is at its position, and it is known where the log ended then: what is appended
   * from now on is read, and known to be new. After 2 s at the latest. A group that begins at the latest waits
   * for an election, too: what comes before they are known would never be read.
   */
  ready(): Promise<void> {
    return new Promise((resolve) => {
      let late = false
      const look = (): void => {
        const held = [...this.#holdings.values()]
        if (!held.every((one) => one.reading !== undefined)) return
        if (late || !held.some((one) => one.reading!.awaitsEnd)) done()
      }
      const done = (): void => {
        clearTimeout(soft)
        clearTimeout(hard)
        this.#lookReady = undefined
        resolve()
      }
      const soft = setTimeout(() => {
        late = true
        look()
      }, READY_LIMIT)
      const hard = setTimeout(done, this.#options.group.from === 'latest' ? LONGEST_ELECTION : READY_LIMIT)
      this.#lookReady = look
      look()
    })
  }

  /** As `GroupMembership.unread`. */
  get unread(): number {
    return this.#reader.unread
  }

  /** The reader may go on: `mayDeliver` has become true. */
  wake(): void {
    this.#reader.wake()
  }

  /**
   * Takes new partitions on and begins to let go of those that are not assigned any more. Those of a topic that was
   * deleted have gone to nobody: what is in hand of them cannot be committed, and what comes under their names later is
   * of another topic.
   */
  apply(assigned: readonly TopicPartition[]): void {
    const keep = new Set(assigned.map(keyOf))
    const revoked = [...this.#holdings.values()].filter((one) => isKept(one) && !keep.has(keyOf(one)))
    const added = assigned.filter((one) => !this.#holdings.has(keyOf(one)))
    const isGone = ({ topic }: Holding): boolean => this.#options.metadata.topic(topic)?.missing === true
    this.#lose(revoked.filter(isGone), 'log-gone')
    void this.#drain(revoked.filter((one) => !isGone(one)))
    this.#take(added)
  }

  /** Lets go of everything; resolves when it is drained, what drained before too, after the drain timeout at the latest. */
  async release(): Promise<void> {
    void this.#drain([...this.#holdings.values()].filter(isKept))
    await Promise.all(this.#drains)
  }

  /** Somebody else has them: everything that is held is over now. */
  lose(): void {
    this.#lose([...this.#holdings.values()], 'taken')
  }

  async commit(offsets: readonly OffsetToCommit[]): Promise<void> {
    const allowed: [Holding, ToCommit][] = []
    const refused: RefusedCommit[] = []
    for (const one of offsets) {
      const holding = this.#holdings.get(keyOf(one))
      const why = whyRefused(holding, one.offset)
      if (why !== undefined) refused.push({ ...one, why })
      else allowed.push([holding!, { offset: one.offset, metadata: one.metadata }])
    }
    if (allowed.length > 0) await this.commits.commit(allowed)
    if (refused.length > 0) throw commitRefused(this.#options.group.groupId, refused)
  }

  pause(partition: TopicPartition): void {
    const holding = this.#holdings.get(keyOf(partition))
    if (holding === undefined) return
    holding.paused = true
    if (holding.reading !== undefined) this.#reader.pause(holding.reading)
  }

  resume(partition: TopicPartition): void {
    const holding = this.#holdings.get(keyOf(partition))
    if (holding === undefined) return
    holding.paused = false
    if (holding.reading !== undefined) this.#reader.resume(holding.reading)
  }

  async close(): Promise<void> {
    for (const one of this.#holdings.values()) this.#over(one)
    this.commits.close()
    await Promise.all([this.#reader.close(), this.#positions.close()])
  }

  #take(added: readonly TopicPartition[]): void {
    if (added.length === 0) return
    void this.#positions.find(this.#hold(added, false))
  }

  #hold(partitions: readonly TopicPartition[], anew: boolean): Holding[] {
    const holdings = partitions.map((one): Holding => ({
      ...bare(one),
      held: true,
      draining: undefined,
      paused: false,
      floor: -1,
      anew,
      reading: undefined,
    }))
    for (const one of holdings) this.#holdings.set(keyOf(one), one)
    this.#tell(() => this.#options.group.onAssigned?.(holdings.map(bare)))
    return holdings
  }

  /**
   * What was read of it is not in its log any more. Whatever was remembered of that log is of another one, here and in the
   * application: this holding is over, and one begins that has committed nothing, where the reading goes on.
   */
  #restart(reading: ReadPartition): void {
    const before = this.#holdings.get(keyOf(reading))
    if (before === undefined || before.reading !== reading) return
    const { position } = reading
    this.#lose([before], 'log-gone')
    if (before.draining !== undefined) return
    for (const holding of this.#hold([before], true)) {
      if (!holding.held) continue
      this.#begin(holding, position, undefined)
      // Else whoever gets it next would begin where the group stood in the log that is gone, and pass over what is before.
      this.commits.commit([[holding, { offset: position }]]).catch(() => undefined)
    }
  }

  #begin(holding: Holding, offset: number, committed: Committed | undefined): void {
    if (committed !== undefined) {
      holding.floor = committed.offset
      this.#tell(() => this.#options.group.onCommitted?.({ ...bare(holding), ...committed }))
      if (!holding.held) return
    }
    holding.reading = this.#reader.add(holding, offset)
    if (holding.paused) this.#reader.pause(holding.reading)
    this.#lookReady?.()
  }

  #lose(holdings: readonly Holding[], why: LossReason): void {
    for (const one of holdings) this.#over(one)
    this.commits.fence()
    if (holdings.length > 0) this.#tell(() => this.#options.group.onLost(holdings.map(bare), why))
  }

  /** `onRevoked` settles, or the drain timeout is over, or what is drained is lost meanwhile: then the holdings are over. */
  #drain(holdings: readonly Holding[]): Promise<void> {
    if (holdings.length === 0) return Promise.resolve()
    const drained = this.#letGo(holdings).finally(() => {
      this.#drains.delete(drained)
      if (this.#drains.size === 0) this.#options.onDrained()
    })
    this.#drains.add(drained)
    return drained
  }

  async #letGo(holdings: readonly Holding[]): Promise<void> {
    const lost = Promise.withResolvers<void>()
    const drain: Drain = { left: holdings.length, allOver: lost.resolve }
    for (const one of holdings) one.draining = drain
    const late = new AbortController()
    await Promise.race([
      this.#revoke(holdings),
      sleep(this.#options.drainTimeout, undefined, { signal: late.signal }).catch(() => undefined),
      lost.promise,
    ])
    late.abort()
    for (const one of holdings) this.#over(one)
    this.commits.fence()
  }

  /** What `onRevoked` throws at once is a rejection like any other; once it has settled nothing more is handed over. */
  async #revoke(holdings: readonly Holding[]): Promise<void> {
    try {
      await this.#options.group.onRevoked(holdings.map(bare))
    } catch (error) {
      this.#tellError(error)
    } finally {
      for (const one of holdings) this.#over(one)
    }
  }

  /** What the application throws stops nothing here. */
  #tell(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#tellError(error)
    }
  }

  #tellError(error: unknown): void {
    this.#options.onError(errorOf(error))
  }

  #over(holding: Holding): void {
    if (!holding.held) return
    holding.held = false
    if (holding.reading !== undefined) this.#reader.remove(holding.reading)
    this.#positions.forget(holding)
    this.#holdings.delete(keyOf(holding))
    this.#lookReady?.()
    const { draining } = holding
    if (draining !== undefined && --draining.left === 0) draining.allOver()
  }
}

/** Whether it is claimed when the member joins: all that it has not been told to let go of. */
function isKept({ draining }: Holding): boolean {
  return draining === undefined
}

/** Why a commit is none of this holding's, but left over from an earlier one: it would set the group back, or make it skip. */
function whyRefused(holding: Holding | undefined, offset: number): RefusedCommit['why'] | undefined {
  if (holding === undefined) return 'not held'
  if (holding.reading === undefined) return 'nothing read'
  if (offset < holding.floor) return { committed: holding.floor }
  return holding.anew && offset > holding.reading.position ? 'log gone' : undefined
}

function bare({ topic, partition }: TopicPartition): TopicPartition {
  return { topic, partition }
}
