/**
 * Where a member begins in the partitions that it was given: where the group stands, else at the start that was asked for.
 * It is tried until it is known, or the partition is not held any more; what keeps it from being known is a trouble.
 *
 * A partition that came to its topic since the member is there begins with its first record, whatever was asked for:
 * `latest` leaves out what was sent before somebody was there to read it, and here somebody was.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { TransportError } from '../../../errors.ts'
import { keyOf } from '../../partition-key.ts'
import type { GroupOptions, TopicPartition } from '../../transport.ts'
import type { BrokerPool, Connections } from '../connection/connections.ts'
import type { CommitHolding, GroupCommits } from './commits.ts'
import type { Committed, GroupCoordinator } from './coordinator-requests.ts'
import { troubleKind, type Troubles } from '../../troubles.ts'
import type { Metadata } from '../cluster/metadata.ts'
import { findOffsets } from '../reading/offsets.ts'
import { GrownTopics } from './grown-topics.ts'

const RETRY_PAUSE = 100
/** Milliseconds between two tries of something that was refused. */
const REFUSED_PAUSE = 1_000
/** Milliseconds without an answer after which that is a trouble: no election takes as long. */
const SILENCE = 30_000

export interface PositionsOptions<Holding> {
  readonly group: GroupOptions
  readonly connections: Connections
  readonly metadata: Metadata
  readonly coordinator: Pick<GroupCoordinator, 'committed'>
  readonly commits: GroupCommits
  readonly troubles: Troubles
  readonly onError: (error: Error) => void
  /** The position is known; `committed`, what the group has committed, is it where there is something. */
  readonly begin: (holding: Holding, offset: number, committed: Committed | undefined) => void
}

export class GroupPositions<Holding extends CommitHolding> {
  readonly #options: PositionsOptions<Holding>
  readonly #ends: BrokerPool
  readonly #abort = new AbortController()
  readonly #grown: GrownTopics

  constructor(options: PositionsOptions<Holding>) {
    this.#options = options
    this.#ends = options.connections.open(2_000)
    this.#grown = new GrownTopics(options.metadata, options.group.topics)
  }

  /** Finds where each begins. Never rejects. */
  async find(holdings: readonly Holding[]): Promise<void> {
    const left = new Set(holdings)
    const since = performance.now()
    while (!this.#abort.signal.aborted) {
      for (const one of left) if (!one.held) left.delete(one)
      if (left.size === 0) return
      let pause = RETRY_PAUSE
      try {
        const committed = await this.#options.coordinator.committed([...left])
        for (const one of left) {
          const at = committed.get(keyOf(one))
          if (at !== undefined) this.#found(one, at.offset, at)
          else if (committed.has(keyOf(one))) void this.#start(one)
          else continue
          left.delete(one)
        }
      } catch (error) {
        pause = this.#failed([...left], error, since)
      }
      await this.#sleep(pause)
    }
  }

  /** What kept it from being known does not matter any more. */
  forget(holding: Holding): void {
    this.#options.troubles.end(cause(holding))
  }

  async close(): Promise<void> {
    this.#abort.abort()
    this.#grown.close()
    await this.#ends.close()
  }

  /** For which nothing is committed. Each alone: one whose leader is away does not keep the others waiting. */
  async #start(one: Holding): Promise<void> {
    const { metadata, group, commits } = this.#options
    const { signal } = this.#abort
    const since = performance.now()
    while (one.held && !signal.aborted) {
      let pause: number
      try {
        const from = this.#grown.has(one) ? 'earliest' : group.from
        const [offset] = await findOffsets({ metadata, pool: this.#ends, signal }, [one], from)
        if (!one.held) return
        this.#found(one, offset!, undefined)
        // Else whoever gets the partition next would begin at what is the latest then, and miss what lies between.
        if (group.from === 'latest') commits.commit([[one, { offset: offset! }]]).catch(() => undefined)
        return
      } catch (error) {
        pause = this.#failed([one], error, since)
      }
      await this.#sleep(pause)
    }
  }

  #found(one: Holding, offset: number, committed: Committed | undefined): void {
    this.forget(one)
    if (one.held) this.#options.begin(one, offset, committed)
  }

  /** Returns how long to wait before the next try. */
  #failed(holdings: readonly Holding[], error: unknown, since: number): number {
    const held = holdings.filter((one) => one.held)
    if (held.length === 0 || this.#abort.signal.aborted) return 0
    const refused = error instanceof TransportError && !error.retryable ? error : undefined
    const waited = performance.now() - since
    if (refused === undefined && waited < SILENCE) return RETRY_PAUSE
    const { group, troubles, onError } = this.#options
    const names = held.map(keyOf).join(', ')
    const text = `group ${group.groupId}: nobody answered for ${SILENCE} ms where ${names} begins`
    const told = refused ?? new TransportError('MILENA_BROKER_UNREACHABLE', text, { cause: error })
    let news = false
    const [kind, began] = [troubleKind(told), Math.round(Date.now() - waited)]
    for (const one of held) {
      const { topic, partition } = one
      if (troubles.begin(cause(one), { kind, topic, partition, since: began, error: told })) news = true
    }
    if (news) onError(told)
    return refused === undefined ? RETRY_PAUSE : REFUSED_PAUSE
  }

  async #sleep(pause: number): Promise<void> {
    await sleep(pause, undefined, { signal: this.#abort.signal }).catch(() => undefined)
  }
}

function cause(partition: TopicPartition): string {
  return `position ${keyOf(partition)}`
}
