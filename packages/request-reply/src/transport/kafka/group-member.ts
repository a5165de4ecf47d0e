/** A member of a consumer group, classic protocol with cooperative rebalancing (KIP-429, KIP-345, KIP-394). */
import { setTimeout as sleep } from 'node:timers/promises'
import { TransportError } from '../../errors.ts'
import type { GroupMembership, GroupOptions, RecordPosition, TopicPartition } from '../transport.ts'
import type { Connections } from './connections.ts'
import { ASSIGNMENT_PROTOCOL, decodeAssignment, encodeSubscription } from './group-assignment.ts'
import { GroupCoordinator, type Identity } from './group-coordinator.ts'
import { GroupLeader } from './group-leader.ts'
import { GroupPartitions } from './group-partitions.ts'
import { resolveTimings, type GroupTimings } from './group-timings.ts'
import { errorName, isRetriable, kafka, refusal } from './kafka-errors.ts'
import type { Metadata } from './metadata.ts'
import { awaitTopic } from './offsets.ts'

/** Milliseconds after an assignment in which heartbeats are this far apart at most. */
const FRESH = 2_000
const FRESH_INTERVAL = 200
/** Milliseconds within which the coordinator takes a member's leave; without it the session timeout does the same. */
const LEAVE_LIMIT = 3_000
const INCONSISTENT_PROTOCOL = 23
const RETRY_PAUSE = 100
const REFUSED_PAUSE = 1_000
/** Milliseconds between two looks at the clock. */
const TICK = 100
/** Milliseconds, beyond the rebalance timeout, within which the first assignment must be there. */
const START_GRACE = 20_000
/** Milliseconds without a coordinator after which that is reported: no election takes as long. */
const SILENCE = 30_000

/**
 * Joins a group; resolves when the group has given this member its first assignment, which may be empty.
 *
 * @throws OptionsError; TransportError `MILENA_TOPIC_MISSING`, `MILENA_NOT_AUTHORIZED`,
 * `MILENA_AUTHENTICATION_FAILED`, `MILENA_BROKER_UNREACHABLE`, `MILENA_BROKER_ERROR` (the group's other members use another protocol, or a timeout is
 * not one that the broker allows), `MILENA_CLOSED`
 */
export async function joinGroup(
  connections: Connections,
  metadata: Metadata,
  options: GroupOptions,
): Promise<GroupMembership> {
  const timings = resolveTimings(options)
  const unwatch = options.topics.map((topic) => metadata.watch(topic))
  const member = new GroupMember(connections, metadata, options, timings)
  try {
    for (const topic of options.topics) await awaitTopic(metadata, topic)
    await member.start()
  } catch (error) {
    await member.close()
    throw error
  } finally {
    for (const stop of unwatch) stop()
  }
  return member
}

/**
 *                       JoinGroup: everybody is there        SyncGroup: assignment
 *   outside ──▶ joining ─────────────────────────▶ syncing ─────────────────────────▶ stable ◀─┐
 *      ▲           ▲                                                                   │  │    │ heartbeat
 *      │           ├── REBALANCE_IN_PROGRESS, or partitions were let go of and drained ┘  └────┘
 *      │           │   (everything that is still held is read, and committed, all the while)
 *      │           └── coordinator lost while joining: found anew, asked again
 *      │
 *      └── UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION: everything is lost, from any state
 *
 *   coordinator lost while stable: found anew; if it knows this member in this generation, nothing has changed
 *   FENCED_INSTANCE_ID: another process has this static member's name: everything is lost, and that is the end
 *   close(): everything is let go of and drained, heartbeats going on; then the group is left, unless static
 *
 * Partitions to let go of are drained in `stable`; JoinGroup, which tells the group that they are free, comes after.
 *
 * Why a commit cannot go over another member's, though it is sent again after a rebalance: a member that is known to the
 * group has taken part in every generation, since the group drops whoever does not join in time; and in each it claimed
 * what it held, so nobody else was given that. When the group does not know it any more, everything is lost first, and
 * with it every commit under way (`group-commits.ts`).
 *
 * When the process was stopped (SIGSTOP, a suspended machine) for long, the group may have given its partitions away.
 * The clock shows it before anything else happens: nothing is handed over until a heartbeat has been answered.
 */
class GroupMember implements GroupMembership {
  readonly #options: GroupOptions
  readonly #timings: GroupTimings
  readonly #leader: GroupLeader
  readonly #coordinator: GroupCoordinator
  readonly #partitions: GroupPartitions
  readonly #started = Promise.withResolvers<void>()
  readonly #abort = new AbortController()
  readonly #timer: NodeJS.Timeout
  #running: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #memberId = ''
  /** As of the last JoinGroup. */
  #generation = -1
  /** The generation of the last assignment. */
  #synced = -1
  #state: 'outside' | 'joining' | 'syncing' | 'stable' = 'outside'
  #rejoin = 'first join'
  /** Something is to be done before the next heartbeat is due. */
  #urgent = false
  #kick: (() => void) | undefined
  #begun = false
  #settledAt = -Infinity
  #ackAt = performance.now()
  #tickAt = performance.now()
  #doubtful = false
  #doubtfulSince = 0
  #trouble: string | undefined

  constructor(connections: Connections, metadata: Metadata, options: GroupOptions, timings: GroupTimings) {
    this.#options = options
    this.#timings = timings
    this.#leader = new GroupLeader(metadata)
    this.#coordinator = new GroupCoordinator(connections, metadata, {
      groupId: options.groupId,
      instanceId: options.groupInstanceId ?? null,
      sessionTimeout: timings.sessionTimeout,
      rebalanceTimeout: timings.rebalanceTimeout,
    })
    this.#partitions = new GroupPartitions({
      group: options,
      drainTimeout: timings.drainTimeout,
      connections,
      metadata,
      coordinator: this.#coordinator,
      identity: () => this.#identity(),
      doubt: () => this.#wake(),
      mayDeliver: () => this.#mayDeliver(),
      onError: (error) => options.onError?.(error),
    })
    this.#timer = setInterval(() => this.#tick(), TICK)
    this.#leader.watch(options.topics)
  }

  /** Resolves with the first assignment. */
  async start(): Promise<void> {
    const limit = this.#timings.rebalanceTimeout + START_GRACE
    const late = setTimeout(() => {
      const text = `group ${this.#options.groupId}: no assignment within ${limit} ms`
      this.#started.reject(new TransportError('MILENA_BROKER_UNREACHABLE', text))
    }, limit)
    this.#running = this.#run()
    try {
      await this.#started.promise
    } finally {
      clearTimeout(late)
    }
  }

  commit(offsets: readonly RecordPosition[]): Promise<void> {
    return this.#partitions.commit(offsets)
  }

  pause(partition: TopicPartition): void {
    this.#partitions.pause(partition)
  }

  resume(partition: TopicPartition): void {
    this.#partitions.resume(partition)
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    await this.#partitions.release()
    this.#end()
    this.#coordinator.abandonWait()
    if (this.#memberId !== '' && this.#options.groupInstanceId === undefined) {
      const leaving = this.#coordinator.leave(this.#memberId).catch(() => undefined)
      const limit = new AbortController()
      await Promise.race([
        leaving,
        sleep(LEAVE_LIMIT, undefined, { signal: limit.signal }).catch(() => undefined),
      ])
      limit.abort()
    }
    await Promise.all([this.#partitions.close(), this.#coordinator.close()])
    await this.#running
  }

  #end(): void {
    this.#abort.abort()
    clearInterval(this.#timer)
    this.#leader.close()
    this.#wake()
    this.#started.reject(new TransportError('MILENA_CLOSED', `group ${this.#options.groupId}: closed`))
    this.#started.promise.catch(() => undefined)
  }

  get #ended(): boolean {
    return this.#abort.signal.aborted
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      try {
        // What is to be let go of is drained before JoinGroup tells the group that it is free.
        if (this.#rejoin !== '' && !this.#partitions.draining) await this.#join()
        else {
          await this.#pause()
          if (!this.#ended && this.#memberId !== '') await this.#beat()
        }
      } catch (error) {
        await this.#failed(error)
      }
    }
  }

  async #join(): Promise<void> {
    const { topics } = this.#options
    this.#state = 'joining'
    const subscription = encodeSubscription(topics, this.#partitions.owned, this.#synced)
    const reason = this.#rejoin
    const joined = await this.#whileAlive(
      this.#coordinator.join(this.#memberId, ASSIGNMENT_PROTOCOL, subscription, reason),
    )
    if (joined.errorCode === kafka.memberIdRequired) {
      this.#memberId = joined.memberId
      return
    }
    if (joined.errorCode !== kafka.none) return this.#refused(joined.errorCode, 'joining')
    this.#memberId = joined.memberId
    this.#generation = joined.generation
    this.#ackAt = performance.now()
    this.#state = 'syncing'
    const asked = performance.now()
    const assignments = joined.leads ? await this.#leader.share(joined) : this.#leader.follow()
    const synced = await this.#whileAlive(this.#coordinator.sync(joined, ASSIGNMENT_PROTOCOL, assignments))
    if (synced.errorCode !== kafka.none) {
      // Another member joined meanwhile, or the group went on without our answer: once more from JoinGroup.
      if (synced.errorCode === kafka.rebalanceInProgress || synced.errorCode === kafka.illegalGeneration)
        return
      return this.#refused(synced.errorCode, 'getting the assignment')
    }
    this.#settle(decodeAssignment(synced.assignment), asked)
  }

  #settle(assigned: readonly TopicPartition[], asked: number): void {
    if (this.#ended) return
    this.#synced = this.#generation
    this.#settledAt = performance.now()
    this.#state = 'stable'
    this.#rejoin = ''
    this.#acknowledged(asked)
    const drained = this.#partitions.apply(this.#closing === undefined ? assigned : [])
    if (this.#partitions.draining) {
      const generation = this.#generation
      void drained.then(() => {
        if (this.#closing !== undefined || this.#generation !== generation) return
        this.#rejoin = 'let go of partitions'
        this.#wake()
      })
    }
    this.#partitions.commits.drive()
    this.#begun = true
    this.#started.resolve()
  }

  async #beat(): Promise<void> {
    const asked = performance.now()
    const code = await this.#coordinator.heartbeat({ memberId: this.#memberId, generation: this.#generation })
    if (code === kafka.none) this.#acknowledged(asked)
    else if (code === kafka.rebalanceInProgress) {
      this.#acknowledged(asked)
      this.#rejoin ||= 'rebalance'
    } else await this.#refused(code, 'heartbeat')
  }

  /**
   * The coordinator knows us, or knew us when it was asked. The race that `asked` decides: a heartbeat is answered, the
   * process is stopped before it reads that, the session ends and another member takes over, the process goes on, sees by
   * the clock that it was stopped, and reads the old answer: it says nothing of now.
   */
  #acknowledged(asked: number): void {
    this.#ackAt = performance.now()
    this.#trouble = undefined
    this.#partitions.commits.drive()
    if (!this.#doubtful || asked < this.#doubtfulSince) return
    this.#doubtful = false
    this.#partitions.wake()
  }

  async #refused(code: number, what: string): Promise<void> {
    if (code === kafka.fencedInstanceId) {
      this.#lose('')
      const name = this.#options.groupInstanceId
      throw new TransportError(
        'MILENA_COMMIT_FENCED',
        `group ${this.#options.groupId}: another process has joined as ${name}, this one has stopped; ` +
          'give each process a groupInstanceId of its own',
      )
    }
    if (code === kafka.unknownMemberId || code === kafka.illegalGeneration) {
      this.#lose(code === kafka.unknownMemberId ? '' : this.#memberId)
      return
    }
    if (code === kafka.rebalanceInProgress) return
    if (!isRetriable(code)) throw this.#refusal(code, what)
    await this.#sleep(RETRY_PAUSE)
    this.#urgent = true
  }

  #refusal(code: number, what: string): TransportError {
    const { groupId } = this.#options
    if (code !== INCONSISTENT_PROTOCOL) return refusal(code, `group ${groupId}: ${what}`)
    return new TransportError(
      'MILENA_BROKER_ERROR',
      `group ${groupId}: its other members do not offer the ${ASSIGNMENT_PROTOCOL} assignment (${errorName(code)}); ` +
        'use another group id, or set their partition.assignment.strategy to the CooperativeStickyAssignor',
    )
  }

  /** The group has gone on without this member. */
  #lose(memberId: string): void {
    this.#memberId = memberId
    this.#generation = -1
    this.#synced = -1
    this.#state = 'outside'
    this.#rejoin = 'lost its place'
    this.#leader.follow()
    this.#doubtful = false
    this.#partitions.lose()
  }

  /** Nothing of a failure is final here, except at the start, and for a member whose name was taken. */
  async #failed(error: unknown): Promise<void> {
    if (this.#ended) return
    const lasting = error instanceof TransportError && !error.retryable ? error : undefined
    if (lasting !== undefined) {
      this.#started.reject(lasting)
      this.#started.promise.catch(() => undefined)
      if (this.#trouble !== lasting.message && this.#begun) this.#options.onError?.(lasting)
      this.#trouble = lasting.message
      if (lasting.code === 'MILENA_COMMIT_FENCED') return this.#end()
    } else if (performance.now() - this.#ackAt > SILENCE && this.#trouble === undefined) {
      this.#trouble = 'silence'
      const text = `group ${this.#options.groupId}: no coordinator answered for ${SILENCE} ms`
      this.#options.onError?.(new TransportError('MILENA_BROKER_UNREACHABLE', text, { cause: error }))
    }
    await this.#sleep(lasting === undefined ? RETRY_PAUSE : REFUSED_PAUSE)
    // A coordinator that came back, or its successor, is asked at once whether it knows us.
    this.#urgent = true
  }

  /**
   * JoinGroup and SyncGroup take as long as other members do. Whether the coordinator lives meanwhile, heartbeats tell:
   * whatever it answers, it answers.
   */
  async #whileAlive<Answer>(waiting: Promise<Answer>): Promise<Answer> {
    let asking = false
    const timer = setInterval(() => {
      if (asking) return
      asking = true
      const asked = performance.now()
      this.#coordinator
        .heartbeat({ memberId: this.#memberId, generation: this.#generation })
        .then((code) => {
          if (code === kafka.none || code === kafka.rebalanceInProgress) this.#acknowledged(asked)
        })
        .catch(() => this.#coordinator.abandonWait())
        .finally(() => (asking = false))
    }, this.#timings.heartbeatInterval)
    try {
      return await waiting
    } finally {
      clearInterval(timer)
    }
  }

  #tick(): void {
    const now = performance.now()
    this.#noticeStall(now)
    this.#tickAt = now
    this.#partitions.commits.expire(now)
    if (this.#state !== 'stable' || this.#rejoin !== '') return
    this.#rejoin = this.#leader.changed(now) ?? ''
    if (this.#rejoin !== '') this.#wake()
  }

  #mayDeliver(): boolean {
    this.#noticeStall(performance.now())
    return !this.#doubtful
  }

  /** The clock went on, and we did not: the session may be over. */
  #noticeStall(now: number): void {
    if (this.#state === 'outside' || now - this.#tickAt < this.#timings.sessionTimeout / 2) return
    this.#tickAt = now
    this.#doubtful = true
    this.#doubtfulSince = now
    this.#wake()
  }

  #identity(): Identity | undefined {
    if (this.#state === 'syncing' || this.#state === 'outside' || this.#synced === -1) return undefined
    return { memberId: this.#memberId, generation: this.#generation }
  }

  /** Until the next heartbeat is due or something is to be done. */
  async #pause(): Promise<void> {
    if (!this.#urgent) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#kick = resolve
      // One rebalance follows another while members come and go, and those who wait for a partition wait for everybody.
      const fresh = performance.now() - this.#settledAt < FRESH
      const timer = setTimeout(
        resolve,
        Math.min(this.#timings.heartbeatInterval, fresh ? FRESH_INTERVAL : Infinity),
      )
      await promise
      clearTimeout(timer)
      this.#kick = undefined
    }
    this.#urgent = false
  }

  #wake(): void {
    this.#urgent = true
    this.#kick?.()
  }

  async #sleep(time: number): Promise<void> {
    await sleep(time, undefined, { signal: this.#abort.signal }).catch(() => undefined)
  }
}
