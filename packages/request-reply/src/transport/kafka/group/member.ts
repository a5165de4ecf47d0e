/** A member of a consumer group, classic protocol with cooperative rebalancing (KIP-429, KIP-345, KIP-394). */
import { TransportError } from '../../../errors.ts'
import type {
  GroupMembership,
  GroupOptions,
  OffsetToCommit,
  TopicPartition,
  Trouble,
} from '../../transport.ts'
import type { Connections } from '../connection/connections.ts'
import { ASSIGNMENT_PROTOCOL } from './assignment.ts'
import { GroupCoordinator } from './coordinator-requests.ts'
import { whileAlive } from './heartbeats.ts'
import { GroupLeader } from './leader.ts'
import { leaveGroup } from './leaving.ts'
import { MemberTroubles } from './member-troubles.ts'
import { Pace } from './pace.ts'
import { GroupPartitions } from './partitions.ts'
import { Place } from './place.ts'
import { memberRefusal, nameTaken, placeLost, sessionOver } from './refusals.ts'
import { Session } from './session.ts'
import { Start } from './start.ts'
import type { GroupTimings } from './timings.ts'
import { GroupTopics } from './topics.ts'
import { readAssignment, writeSubscription } from '../protocol/consumer-protocol.ts'
import { isRetriable, kafka } from '../protocol/error-codes.ts'
import type { Metadata } from '../cluster/metadata.ts'
import { untilAborted } from '../waiting/until-aborted.ts'

/** Milliseconds after an assignment in which heartbeats are this far apart at most. */
const FRESH = 2_000
const FRESH_INTERVAL = 200
const RETRY_PAUSE = 100
const REFUSED_PAUSE = 1_000
/** Milliseconds between two looks at the clock. */
const TICK = 100

/**
 *                       JoinGroup: everybody is there        SyncGroup: assignment
 *   outside ──▶ joining ─────────────────────────▶ syncing ─────────────────────────▶ stable ◀─┐
 *      ▲           ▲                                                                   │  │    │ heartbeat
 *      │           ├── REBALANCE_IN_PROGRESS, or partitions were let go of and drained ┘  └────┘
 *      │           │   (everything that is still held is read, and committed, all the while)
 *      │           └── coordinator lost while joining: found anew, asked again
 *      │
 *      ├── UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION: everything is lost, from any state
 *      └── the session is over by our own clock (`session.ts`): likewise, whether anybody answers or not
 *
 *   coordinator lost while stable: found anew; if it knows this member in this generation, and the session lasts, nothing
 *   has changed
 *   FENCED_INSTANCE_ID: another process has this static member's name: everything is lost, and that is the end
 *   close(): everything is let go of and drained, heartbeats going on; then the group is left (`leaving.ts`)
 *
 * Partitions to let go of are drained in `stable`; JoinGroup, which tells the group that they are free, comes after.
 *
 * Why a commit cannot go over another member's, though it is sent again after a rebalance: a member that is known to the
 * group has taken part in every generation, since the group drops whoever does not join in time; and in each it claimed
 * what it held, so nobody else was given that. When the group does not know it any more, everything is lost first, and
 * with it every commit under way (`commits.ts`).
 *
 * When the process was held up for long, the group may have given its partitions away. The clock shows it before anything
 * else happens: nothing is handed over until a heartbeat has been answered.
 */
export class GroupMember implements GroupMembership {
  readonly #options: GroupOptions
  readonly #timings: GroupTimings
  readonly #leader: GroupLeader
  readonly #coordinator: GroupCoordinator
  readonly #partitions: GroupPartitions
  readonly #troubles: MemberTroubles
  readonly #topics: GroupTopics
  readonly #place = new Place()
  readonly #session: Session
  readonly #abort = new AbortController()
  readonly #pace = new Pace(this.#abort.signal)
  readonly #start: Start
  readonly #timer: NodeJS.Timeout
  #running: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #rejoin = 'first join'
  #begun = false
  #settledAt = -Infinity
  #fenced = false

  constructor(connections: Connections, metadata: Metadata, options: GroupOptions, timings: GroupTimings) {
    this.#options = options
    this.#timings = timings
    this.#start = new Start(options.groupId, metadata)
    this.#session = new Session(timings.sessionTimeout)
    this.#troubles = new MemberTroubles(options)
    this.#topics = new GroupTopics(metadata, options.topics, this.#troubles.list)
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
      identity: () => this.#place.identity,
      doubt: () => this.#pace.wake(),
      mayDeliver: () => this.#mayDeliver(),
      onDrained: () => this.#drained(),
      troubles: this.#troubles.list,
      onError: (error) => options.onError?.(error),
    })
    this.#timer = setInterval(() => this.#tick(), TICK)
    this.#leader.watch(options.topics)
  }

  /** Resolves when the partitions of the first assignment are at their positions. */
  start(): Promise<void> {
    this.#running = this.#run()
    return this.#start.outcome
  }

  commit(offsets: readonly OffsetToCommit[]): Promise<void> {
    return this.#partitions.commit(offsets)
  }

  pause(partition: TopicPartition): void {
    this.#partitions.pause(partition)
  }

  resume(partition: TopicPartition): void {
    this.#partitions.resume(partition)
  }

  unread(): number {
    return this.#partitions.unread
  }

  troubles(): readonly Trouble[] {
    return this.#troubles.list.list
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** The transport is closing, which closes this member too. */
  transportClosed(): void {
    this.#troubles.transportClosed()
    void this.close()
  }

  async #close(): Promise<void> {
    await this.#partitions.release()
    this.#end()
    await this.#leave()
    await Promise.all([this.#partitions.close(), this.#coordinator.close()])
    await this.#running
  }

  /** A static member keeps its place, once somebody had it in hand. */
  async #leave(): Promise<void> {
    if (this.#fenced || (this.#start.isDone && this.#options.groupInstanceId !== undefined)) return
    await leaveGroup(this.#coordinator, {
      memberId: this.#place.memberId,
      naming: this.#place.naming,
      isStatic: this.#options.groupInstanceId !== undefined,
    })
  }

  #end(): void {
    this.#abort.abort()
    clearInterval(this.#timer)
    this.#leader.close()
    this.#topics.close()
    this.#coordinator.end()
    this.#troubles.end(this.#fenced)
    this.#pace.wake()
    this.#start.fail(new TransportError('MILENA_CLOSED', `group ${this.#options.groupId}: closed`))
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
          if (!this.#ended && this.#place.memberId !== '') await this.#beat()
        }
      } catch (error) {
        await this.#failed(error)
      }
    }
  }

  async #join(): Promise<void> {
    const place = this.#place
    const subscription = writeSubscription({
      topics: this.#options.topics,
      owned: this.#partitions.owned,
      generation: place.synced,
    })
    const askedToJoin = performance.now()
    const joining = this.#coordinator.join(place.memberId, ASSIGNMENT_PROTOCOL, subscription, this.#rejoin)
    place.joining(joining)
    const isNew = place.memberId === ''
    const joined = await this.#whileAlive(joining)
    const { errorCode } = joined
    this.#troubles.answered(errorCode)
    if (errorCode === kafka.none || errorCode === kafka.memberIdRequired) place.named(joined.memberId)
    place.joiningEnded()
    if (errorCode === kafka.memberIdRequired) return isNew ? undefined : this.#pace.setBack()
    if (errorCode !== kafka.none) return this.#refused(errorCode, 'joining')
    // The session was over meanwhile: what was claimed is held no more, and was not let go of for anybody.
    if (!place.isIn('joining')) return
    if (this.#session.answered(askedToJoin)) this.#partitions.wake()
    place.syncing(joined.generation)
    const asked = performance.now()
    const sharing = joined.leads ? this.#leader.share(joined) : Promise.resolve(this.#leader.follow())
    const assignments = await untilAborted(sharing, this.#abort.signal, `group ${this.#options.groupId}`)
    const synced = await this.#whileAlive(this.#coordinator.sync(joined, ASSIGNMENT_PROTOCOL, assignments))
    if (synced.errorCode !== kafka.none) {
      // Another member joined meanwhile, or the group went on without our answer: once more from JoinGroup.
      if (synced.errorCode === kafka.rebalanceInProgress || synced.errorCode === kafka.illegalGeneration)
        return this.#pace.setBack()
      return this.#refused(synced.errorCode, 'getting the assignment')
    }
    // Likewise: what came is of a place that was lost since.
    if (!place.isIn('syncing')) return
    // Before Apache Kafka 3.2 the one that led comes back as no leader, and nobody shares out what had been let go of: with
    // what it holds now it joins once more, which begins a rebalance.
    const isLost = isNew && this.#options.groupInstanceId !== undefined && !joined.leadsAgain
    this.#settle(readAssignment(synced.assignment), asked, isLost ? 'a static member came back' : '')
  }

  #settle(assigned: readonly TopicPartition[], asked: number, rejoin: string): void {
    if (this.#ended) return
    this.#place.settled()
    this.#pace.settled()
    this.#settledAt = performance.now()
    this.#rejoin = rejoin
    this.#acknowledged(asked)
    this.#troubles.placeFound()
    this.#partitions.apply(this.#closing === undefined ? assigned : [])
    this.#partitions.commits.drive()
    if (!this.#begun) this.#begin()
  }

  #begin(): void {
    this.#begun = true
    this.#troubles.list.listen()
    void this.#partitions.ready().then(() => {
      // Not when all was lost, or is let go of: whatever it is given next has to be at its positions first.
      this.#begun = this.#place.isHeld && this.#closing === undefined
      if (!this.#begun) return
      this.#start.done()
      this.#partitions.wake()
    })
  }

  /** What was let go of is free once the group is told so. */
  #drained(): void {
    if (this.#closing === undefined) this.#rejoin ||= 'let go of partitions'
    this.#pace.wake()
  }

  async #beat(): Promise<void> {
    const asked = performance.now()
    const code = await this.#heartbeat()
    if (code === kafka.none) this.#acknowledged(asked)
    else if (code === kafka.rebalanceInProgress) {
      this.#acknowledged(asked)
      this.#rejoin ||= 'rebalance'
    } else await this.#refused(code, 'heartbeat')
  }

  async #heartbeat(): Promise<number> {
    const code = await this.#coordinator.heartbeat(this.#place.claimed)
    this.#troubles.answered(code)
    return code
  }

  /** The coordinator knows us, or knew us when it was asked. */
  #acknowledged(asked: number): void {
    this.#troubles.known()
    this.#partitions.commits.drive()
    if (this.#session.answered(asked)) this.#partitions.wake()
  }

  async #refused(code: number, what: string): Promise<void> {
    if (this.#ended) return // a JoinGroup that waited is answered so when its member leaves
    const { groupId, groupInstanceId } = this.#options
    if (code === kafka.fencedInstanceId) {
      this.#fenced = true
      const error = nameTaken(groupId, groupInstanceId)
      this.#lose('', error)
      this.#start.fail(error)
      this.#end()
    } else if (code === kafka.unknownMemberId || code === kafka.illegalGeneration) {
      const error = placeLost(groupId, code, this.#session)
      this.#lose(code === kafka.unknownMemberId ? '' : this.#place.memberId, error)
      await this.#pace.setBack()
    } else if (code === kafka.rebalanceInProgress) await this.#pace.setBack()
    else {
      const error = memberRefusal(groupId, code, what)
      if (!isRetriable(code)) throw error
      this.#troubles.unserved(error)
      await this.#pace.rest(RETRY_PAUSE)
      this.#pace.wake()
    }
  }

  /** The group has gone on without this member, or may have. */
  #lose(memberId: string, error: TransportError): void {
    const hadPlace = this.#place.isHeld || this.#fenced
    this.#place.lost(memberId)
    this.#session.end()
    this.#rejoin = 'lost its place'
    this.#leader.follow()
    this.#partitions.lose()
    if (hadPlace && this.#begun) this.#troubles.placeLost(error)
  }

  /** Nothing of a failure is final here, except at the start. */
  async #failed(error: unknown): Promise<void> {
    this.#place.joiningEnded()
    if (this.#ended) return
    const lasting = error instanceof TransportError && !error.retryable ? error : undefined
    if (lasting !== undefined) this.#start.fail(lasting)
    this.#troubles.unserved(error)
    if (this.#begun) this.#troubles.failed(error)
    await this.#pace.rest(lasting === undefined ? RETRY_PAUSE : REFUSED_PAUSE)
    // A coordinator that came back, or its successor, is asked at once whether it knows us.
    this.#pace.wake()
  }

  #whileAlive<Answer>(waiting: Promise<Answer>): Promise<Answer> {
    return whileAlive(waiting, this.#timings.heartbeatInterval, {
      joinsAgain: this.#place.isIn('joining') && this.#place.isHeld,
      beat: () => this.#heartbeat(),
      known: (asked) => this.#acknowledged(asked),
      long: (waited) => {
        if (!this.#begun && !this.#ended) this.#troubles.waits(waited, this.#session.timeout)
      },
      // Not once this member leaves: what waits then is to tell it its name.
      dead: () => {
        if (!this.#ended) this.#coordinator.abandonWait()
      },
    })
  }

  #tick(): void {
    const now = performance.now()
    this.#noticeStall(now)
    this.#noticeEnd(now)
    if (!this.#begun) this.#start.look(this.#troubles.silence(now))
    this.#partitions.commits.expire(now)
    this.#topics.look(now)
    if (!this.#place.isIn('stable') || this.#rejoin !== '') return
    this.#rejoin = this.#leader.changed(now) ?? ''
    if (this.#rejoin !== '') this.#pace.wake()
  }

  #mayDeliver(): boolean {
    const now = performance.now()
    this.#noticeStall(now)
    return this.#start.isDone && this.#session.trusted(now)
  }

  /** The session may be over: the coordinator is asked at once. That it did not answer meanwhile says nothing. */
  #noticeStall(now: number): void {
    if (!this.#session.look(now)) return
    this.#troubles.heard()
    this.#pace.wake()
  }

  /** The session is over, as far as we know: what is held may be somebody else's now. */
  #noticeEnd(now: number): void {
    if (!this.#place.isHeld || this.#session.lasts(now)) return
    this.#lose(this.#place.memberId, sessionOver(this.#options.groupId, this.#session))
    this.#pace.wake()
  }

  /** Until the next heartbeat is due or something is to be done. */
  async #pause(): Promise<void> {
    // One rebalance follows another while members come and go, and those who wait for a partition wait for everybody.
    const fresh = performance.now() - this.#settledAt < FRESH
    await this.#pace.wait(Math.min(this.#timings.heartbeatInterval, fresh ? FRESH_INTERVAL : Infinity))
  }
}
