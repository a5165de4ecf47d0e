/**
 * Commits of a member, one request at a time: what gathers meanwhile goes next, the latest offset of each partition.
 *
 * A commit belongs to one holding of a partition: from its assignment to this member until it is let go or lost. It is
 * sent again, after a coordinator's death or a rebalance that left the partition with this member, only while that same
 * holding lasts. So a commit can be late, but never goes over what another member has committed meanwhile.
 */
import { TransportError } from '../../../errors.ts'
import type { OffsetToCommit, TopicPartition } from '../../transport.ts'
import { notHeld } from '../../commit-refusals.ts'
import type { GroupCoordinator, Identity } from './coordinator-requests.ts'
import { deny, type Denied } from '../cluster/denials.ts'
import { refusal } from '../cluster/kafka-errors.ts'
import { isRetriable, kafka } from '../protocol/error-codes.ts'

/** Milliseconds after which a commit that the coordinator has not answered is given up. */
const LIMIT = 30_000
const RETRY_PAUSE = 50

/** One time that this member held a partition; the object is its identity. */
export interface CommitHolding extends TopicPartition, Denied {
  /** Whether commits are still allowed. */
  readonly held: boolean
}

interface Waiter {
  left: number
  error: Error | undefined
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** What is to be committed for a partition. */
export interface ToCommit {
  readonly offset: number
  readonly metadata?: string | undefined
}

interface Due {
  place: ToCommit
  readonly since: number
  readonly waiters: Waiter[]
}

export interface CommitsOptions {
  readonly groupId: string
  readonly coordinator: Pick<GroupCoordinator, 'commit'>
  /** Who this member is; `undefined` while a rebalance settles that. */
  readonly identity: () => Identity | undefined
  /** The coordinator says that this member, or its generation, is not the group's: find out. */
  readonly doubt: () => void
}

export class GroupCommits {
  readonly #options: CommitsOptions
  readonly #due = new Map<CommitHolding, Due>()
  #busy = false
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: CommitsOptions) {
    this.#options = options
  }

  /** Resolves when all are committed; rejects when one cannot be, `MILENA_COMMIT_FENCED` if it is not held any more. */
  commit(offsets: readonly (readonly [CommitHolding, ToCommit])[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { left: offsets.length, error: undefined, resolve, reject }
      for (const [holding, place] of offsets) this.#put(holding, place, performance.now(), [waiter])
      this.drive()
    })
  }

  /** Refuses what waits for holdings that are over. */
  fence(): void {
    for (const [holding, due] of this.#due) {
      if (holding.held) continue
      this.#due.delete(holding)
      settle(due.waiters, this.#fenced(holding))
    }
  }

  /** Gives up what waits for too long. */
  expire(now: number): void {
    for (const [holding, due] of this.#due) {
      if (now - due.since < LIMIT) continue
      this.#due.delete(holding)
      const text = `group ${this.#options.groupId}: no coordinator took the commit of ${holding.topic}/${holding.partition} within ${LIMIT} ms`
      settle(due.waiters, new TransportError('MILENA_BROKER_UNREACHABLE', text))
    }
  }

  /** Sends what is due, unless a request is under way or this member is not sure of itself. */
  drive(): void {
    if (this.#busy || this.#timer !== undefined || this.#closed) return
    this.fence()
    if (this.#due.size === 0) return
    const identity = this.#options.identity()
    if (identity === undefined) return
    this.#busy = true
    void this.#send(identity)
  }

  /** Refuses everything that waits. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const [holding, due] of this.#due) settle(due.waiters, this.#fenced(holding))
    this.#due.clear()
  }

  #fenced(holding: CommitHolding): Error {
    return notHeld(this.#options.groupId, [holding])
  }

  async #send(identity: Identity): Promise<void> {
    const flying = [...this.#due]
    this.#due.clear()
    const offsets = flying.map(([{ topic, partition }, { place }]): OffsetToCommit => ({
      topic,
      partition,
      ...place,
    }))
    let codes: readonly number[] | undefined
    try {
      codes = await this.#options.coordinator.commit(identity, offsets)
    } catch (error) {
      if (error instanceof TransportError && !error.retryable) {
        for (const [, due] of flying.splice(0)) settle(due.waiters, error)
      }
    }
    let again = false
    for (const [index, [holding, due]] of flying.entries()) {
      const code = codes?.[index] ?? kafka.networkException
      if (code === kafka.none) {
        holding.denials = undefined
        settle(due.waiters)
      } else if (!holding.held || this.#closed) settle(due.waiters, this.#fenced(holding))
      else if (isFence(code) || code === kafka.rebalanceInProgress || maySucceed(code, holding)) {
        if (isFence(code)) this.#options.doubt()
        this.#put(holding, due.place, due.since, due.waiters, true)
        again = true
      } else {
        const { topic, partition } = holding
        settle(due.waiters, refusal(code, `group ${this.#options.groupId}: committing ${topic}/${partition}`))
      }
    }
    this.#busy = false
    if (!again || this.#closed) this.drive()
    else {
      this.#timer = setTimeout(() => {
        this.#timer = undefined
        this.drive()
      }, RETRY_PAUSE)
    }
  }

  #put(holding: CommitHolding, place: ToCommit, since: number, waiters: Waiter[], again = false): void {
    const due = this.#due.get(holding)
    if (due === undefined) this.#due.set(holding, { place, since, waiters })
    else {
      // What comes back from a failed request is older than what has gathered since.
      if (!again) due.place = place
      due.waiters.push(...waiters)
    }
  }
}

function isFence(code: number): boolean {
  return code === kafka.illegalGeneration || code === kafka.unknownMemberId || code === kafka.fencedInstanceId
}

/** Retriable in Kafka's list; but a topic that is certainly gone will not come back for a commit. */
function maySucceed(code: number, holding: CommitHolding): boolean {
  if (code === kafka.unknownTopicOrPartition) return !deny(holding, performance.now())
  return isRetriable(code)
}

function settle(waiters: readonly Waiter[], error?: Error): void {
  for (const waiter of waiters) {
    waiter.error ??= error
    if (--waiter.left > 0) continue
    if (waiter.error === undefined) waiter.resolve()
    else waiter.reject(waiter.error)
  }
}
