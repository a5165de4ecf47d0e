/**
 * The partitions that a member holds: their positions, their reading, and how they are let go of.
 *
 * One time that a partition is held, a holding:
 *
 *              committed offset known                 revoked, or the member closes
 *   assigned ─────────────────────────▶ reading ─────────────────────────────────────▶ draining ──▶ over
 *      │                                   │                                              ▲  onRevoked settled,
 *      └───────────────────────────────────┴── lost: at once ─────────────────────────────┘  or drain timeout
 *
 * Nothing of a partition is handed over outside of `reading`; it can be committed until the holding is over.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { TransportError } from '../../errors.ts'
import type { GroupOptions, IncomingRecord, RecordPosition, TopicPartition } from '../transport.ts'
import type { BrokerPool, Connections } from './connections.ts'
import type { ReadPartition } from './fetch-loop.ts'
import { GroupCommits, type CommitHolding } from './group-commits.ts'
import type { GroupCoordinator, Identity } from './group-coordinator.ts'
import type { Metadata } from './metadata.ts'
import { findOffsets } from './offsets.ts'
import { PartitionReader } from './partition-reader.ts'

const RETRY_PAUSE = 100
/** Milliseconds between two tries of something that was refused. */
const REFUSED_PAUSE = 1_000

interface Holding extends CommitHolding {
  held: boolean
  draining: boolean
  paused: boolean
  /** What the group had committed when the holding began: a commit of less would set the group back. */
  floor: number
  reading: ReadPartition | undefined
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
  readonly onError: (error: Error) => void
}

export class GroupPartitions {
  readonly commits: GroupCommits
  readonly #options: PartitionsOptions
  readonly #reader: PartitionReader
  readonly #holdings = new Map<string, Holding>()
  readonly #ends: BrokerPool
  readonly #abort = new AbortController()
  #drains = 0

  constructor(options: PartitionsOptions) {
    const { connections, metadata, group } = options
    this.#options = options
    this.#ends = connections.open(2_000)
    this.commits = new GroupCommits({
      groupId: group.groupId,
      coordinator: options.coordinator,
      identity: options.identity,
      doubt: options.doubt,
    })
    this.#reader = new PartitionReader(connections, metadata, {
      onRecords: (records: readonly IncomingRecord[]) => group.onRecords(records),
      onError: options.onError,
      mayDeliver: options.mayDeliver,
    })
  }

  /** What this member claims when it joins: all that it has not been told to let go of. */
  get owned(): TopicPartition[] {
    return [...this.#holdings.values()].filter((one) => !one.draining).map(bare)
  }

  /** Whether partitions are being let go of. */
  get draining(): boolean {
    return this.#drains > 0
  }

  /** The reader may go on: `mayDeliver` has become true. */
  wake(): void {
    this.#reader.wake()
  }

  /** Takes new partitions on and gives those back that are not assigned any more; resolves when these are drained. */
  async apply(assigned: readonly TopicPartition[]): Promise<void> {
    const keep = new Set(assigned.map(keyOf))
    const revoked = [...this.#holdings.values()].filter((one) => !one.draining && !keep.has(keyOf(one)))
    const added = assigned.filter((one) => !this.#holdings.has(keyOf(one)))
    const drained = this.#drain(revoked)
    this.#take(added)
    await drained
  }

  /** Lets go of everything, drained; resolves after the drain timeout at the latest. */
  async release(): Promise<void> {
    await this.#drain([...this.#holdings.values()].filter((one) => !one.draining))
  }

  /** Somebody else has them: everything that is held is over now. */
  lose(): void {
    const lost = [...this.#holdings.values()]
    for (const one of lost) this.#over(one)
    this.commits.fence()
    if (lost.length > 0) this.#tell(() => this.#options.group.onLost(lost.map(bare)))
  }

  async commit(offsets: readonly RecordPosition[]): Promise<void> {
    const allowed: [Holding, number][] = []
    const fenced: TopicPartition[] = []
    for (const one of offsets) {
      const holding = this.#holdings.get(keyOf(one))
      if (holding === undefined || isStale(holding, one.offset)) fenced.push(one)
      else allowed.push([holding, one.offset])
    }
    if (allowed.length > 0) await this.commits.commit(allowed)
    if (fenced.length > 0) throw this.commits.fenced(fenced)
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
    this.#abort.abort()
    for (const one of this.#holdings.values()) this.#over(one)
    this.commits.close()
    await Promise.all([this.#reader.close(), this.#ends.close()])
  }

  #take(added: readonly TopicPartition[]): void {
    if (added.length === 0) return
    const holdings = added.map(({ topic, partition }): Holding => ({
      topic,
      partition,
      held: true,
      draining: false,
      paused: false,
      floor: -1,
      reading: undefined,
    }))
    for (const one of holdings) this.#holdings.set(keyOf(one), one)
    this.#tell(() => this.#options.group.onAssigned?.(holdings.map(bare)))
    void this.#position(holdings)
  }

  /** Begins to read where the group stands; tries until it is known or nothing is held any more. */
  async #position(holdings: readonly Holding[]): Promise<void> {
    const { coordinator, group, metadata } = this.#options
    const { signal } = this.#abort
    let told = false
    for (;;) {
      const left = holdings.filter((one) => one.held && !one.draining && one.reading === undefined)
      if (left.length === 0 || signal.aborted) return
      let pause = RETRY_PAUSE
      try {
        const committed = await coordinator.committed(left)
        const known = left.filter((one) => committed.has(keyOf(one)))
        for (const one of known) this.#begin(one, committed.get(keyOf(one)))
        const without = known.filter((one) => committed.get(keyOf(one)) === undefined)
        // Each alone: one whose leader is away does not keep the others waiting.
        await Promise.all(
          without.map(async (one) => {
            const [offset] = await findOffsets({ metadata, pool: this.#ends, signal }, [one], group.from)
            this.#begin(one, offset, -1)
            // Else whoever gets the partition next would begin at what is the latest then, and miss what lies between.
            if (group.from === 'latest' && one.held) {
              this.commits.commit([[one, offset!]]).catch(() => undefined)
            }
          }),
        )
      } catch (error) {
        if (error instanceof TransportError && !error.retryable && !signal.aborted) {
          pause = REFUSED_PAUSE
          if (!told) this.#options.onError(error)
          told = true
        }
      }
      await sleep(pause, undefined, { signal }).catch(() => undefined)
    }
  }

  #begin(holding: Holding, offset: number | undefined, floor: number | undefined = offset): void {
    if (offset === undefined || !holding.held || holding.draining || holding.reading !== undefined) return
    holding.floor = floor ?? -1
    holding.reading = this.#reader.add(holding, offset)
    if (holding.paused) this.#reader.pause(holding.reading)
  }

  /** `onRevoked` settles, or the drain timeout is over, or what is drained is lost meanwhile: then the holdings are over. */
  async #drain(holdings: readonly Holding[]): Promise<void> {
    if (holdings.length === 0) return
    this.#drains++
    const stop = new AbortController()
    try {
      for (const one of holdings) {
        one.draining = true
        this.#stopReading(one)
      }
      const { group, drainTimeout } = this.#options
      await Promise.race([
        drained(group, holdings.map(bare)).catch((error: unknown) => this.#tellError(error)),
        sleep(drainTimeout, undefined, { signal: stop.signal }).catch(() => undefined),
        this.#lost(holdings, stop.signal),
      ])
    } finally {
      stop.abort()
      this.#drains--
      for (const one of holdings) this.#over(one)
      this.commits.fence()
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
    this.#options.onError(error instanceof Error ? error : new Error(String(error)))
  }

  async #lost(holdings: readonly Holding[], signal: AbortSignal): Promise<void> {
    while (holdings.some((one) => one.held) && !signal.aborted) {
      await sleep(RETRY_PAUSE, undefined, { signal }).catch(() => undefined)
    }
  }

  #over(holding: Holding): void {
    holding.held = false
    this.#stopReading(holding)
    if (this.#holdings.get(keyOf(holding)) === holding) this.#holdings.delete(keyOf(holding))
  }

  #stopReading(holding: Holding): void {
    if (holding.reading !== undefined) this.#reader.remove(holding.reading)
  }
}

/**
 * Left over from an earlier holding of the partition, when it is less than was committed before this one; or from a topic
 * that was deleted since, when it is beyond what was read of the new one. It would set the group back, or make it skip.
 */
function isStale({ floor, reading }: Holding, offset: number): boolean {
  return offset < floor || (reading !== undefined && reading.recreated && offset > reading.position)
}

/** What `onRevoked` throws at once is a rejection like any other. */
async function drained(group: GroupOptions, partitions: readonly TopicPartition[]): Promise<void> {
  await group.onRevoked(partitions)
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

function bare({ topic, partition }: TopicPartition): TopicPartition {
  return { topic, partition }
}
