import { errorCodes } from '../wire/error-codes.ts'
import { joinError, noBytes, syncError } from './answers.ts'
import type { Bytes } from './budget.ts'
import { scheduleLimit } from './clock.ts'
import type { Clock, Timer } from './clock.ts'
import { Member, memberBytes } from './member.ts'
import type { GroupOptions } from './options.ts'
import { consumerProtocolType } from './protocols.ts'
import { Roster } from './roster.ts'
import type { GroupState, JoinRequest, JoinResult, SyncRequest, SyncResult } from './types.ts'

/** What every group of a coordinator shares. */
export interface GroupEnvironment {
  clock: Clock
  options: Required<GroupOptions>
  budget: Bytes
}

/**
 * The generations of one group: who belongs to it, and how the next generation comes about.
 *
 *                 first join                 everyone has joined again,
 *                                            or the time to do so is up
 *   ┌───────┐ ──────────────► ┌───────────┐ ──────────────────────────► ┌────────────┐
 *   │ Empty │                 │ Preparing │                             │ Completing │
 *   └───────┘ ◄────────────── │ Rebalance │ ◄────────────────────────── │ Rebalance  │
 *       │      nobody is left └───────────┘  join, leave, session over, └────────────┘
 *       │                           ▲        a sync overdue                   │
 *       │ deleted                   │                                         │ the leader's sync
 *       ▼                           │ join, leave, session over,              ▼
 *   ┌──────┐                        │ a sync overdue                     ┌────────┐
 *   │ Dead │ ◄── close, always      └─────────────────────────────────── │ Stable │
 *   └──────┘                                                             └────────┘
 *
 * Each way out of PreparingRebalance begins a new generation. Joins are parked (not answered) in
 * PreparingRebalance, the followers' syncs in CompletingRebalance. What is parked is answered exactly once: by
 * the next state, by the member's removal, by a newer request of the same member, or by `close`.
 *
 * Timers: one for each member's session; one for the joins (the slowest member's rebalance timeout, or while an
 * empty group gathers its first members the initial delay, which each newcomer extends); one for the syncs, as
 * long as the joins'; one for each pending member. All but the gathering are limits that are not held against anybody
 * while this process itself was held up (`scheduleLimit`).
 */
export class Generations {
  readonly roster: Roster = new Roster()
  readonly #environment: GroupEnvironment
  readonly #awaitedSyncs = new Set<string>()
  #state: GroupState = 'Empty'
  #number = 0
  #protocolType: string | null = null
  #protocol: string | null = null
  #topics: Set<string> | null = null
  #emptySince: number
  #joinTimer: Timer | null = null
  #syncTimer: Timer | null = null
  #isGathering = false
  #newcomerWhileGathering = false

  constructor(environment: GroupEnvironment) {
    this.#environment = environment
    this.#emptySince = environment.clock.now()
  }

  get state(): GroupState {
    return this.#state
  }

  /** The current generation; 0 before the first. */
  get number(): number {
    return this.#number
  }

  get protocolType(): string | null {
    return this.#protocolType
  }

  get protocol(): string | null {
    return this.#protocol
  }

  /** When the last member went, or the group was made; of use while it is empty. */
  get emptySince(): number {
    return this.#emptySince
  }

  /** Topics that the members read; null when that is not known. */
  get topics(): ReadonlySet<string> | null {
    return this.#topics
  }

  /** Whether a member reads it; consumers whose subscriptions are not known may read anything. */
  isSubscribedTo(topic: string): boolean {
    if (this.#topics) return this.#topics.has(topic)
    return this.#state !== 'Empty' && this.#protocolType === consumerProtocolType
  }

  /** Hands out an id that the client is to come back with before its session timeout. */
  addPending(memberId: string, sessionTimeoutMs: number): void {
    const expire = () => {
      this.roster.removePending(memberId)
      this.continueRebalance()
    }
    this.roster.addPending(memberId, scheduleLimit(this.#environment.clock, sessionTimeoutMs, expire))
  }

  /** Takes a new member in and parks its join; refuses it when there is no memory left for it. */
  add(memberId: string, request: JoinRequest, respond: (result: JoinResult) => void): void {
    this.roster.removePending(memberId)
    if (!this.#environment.budget.take(memberBytes(request))) {
      respond(joinError(errorCodes.GROUP_MAX_SIZE_REACHED, ''))
      this.continueRebalance()
      return
    }
    const member = new Member(memberId, request)
    if (this.roster.size === 0) this.#protocolType = request.protocolType
    this.roster.add(member)
    this.#newcomerWhileGathering = this.#isGathering
    // A client that gives up on its first join has no id to come back with, and may come again and again: such
    // joins must not pile up while a long rebalance goes on.
    this.#expectWithin(member, this.#environment.options.newMemberJoinTimeoutMs)
    this.rejoin(member, respond)
  }

  /** Takes over what a member's new join says; false when there is no memory left for it. */
  update(member: Member, request: JoinRequest): boolean {
    if (!this.#environment.budget.take(memberBytes(request) - memberBytes(member))) return false
    member.update(request)
    return true
  }

  /** Gives a static member another id and fences whoever holds the old one. */
  rename(member: Member, memberId: string): void {
    member.answerJoin(joinError(errorCodes.FENCED_INSTANCE_ID, member.id))
    member.answerSync(syncError(errorCodes.FENCED_INSTANCE_ID))
    if (this.#awaitedSyncs.delete(member.id)) this.#awaitedSyncs.add(memberId)
    this.roster.rename(member, memberId)
    if (!member.isNew) this.expectHeartbeat(member)
  }

  /** Parks a member's join, and starts a rebalance or sees whether the one that goes on is complete. */
  rejoin(member: Member, respond: (result: JoinResult) => void): void {
    // An earlier join of the same member: its connection is likely gone, whoever still listens tries again.
    member.answerJoin(joinError(errorCodes.REBALANCE_IN_PROGRESS, member.id))
    member.parkJoin(respond)
    this.#rebalance()
  }

  #rebalance(): void {
    if (this.#state === 'PreparingRebalance') this.continueRebalance()
    else this.#prepareRebalance()
  }

  /** `reason` is what those hear who wait for their work. */
  #prepareRebalance(reason: number = errorCodes.REBALANCE_IN_PROGRESS): void {
    const wasEmpty = this.#state === 'Empty'
    this.#stopTimers()
    this.#awaitedSyncs.clear()
    for (const member of this.roster.all()) {
      if (member.answerSync(syncError(reason))) this.expectHeartbeat(member)
    }
    this.#state = 'PreparingRebalance'
    if (wasEmpty) {
      const { initialRebalanceDelayMs } = this.#environment.options
      this.#isGathering = true
      this.#gather(initialRebalanceDelayMs, this.roster.slowestRebalance() - initialRebalanceDelayMs)
    } else {
      this.#waitForJoins()
      this.continueRebalance()
    }
  }

  /** Waits `delay` ms for more members, and on while newcomers arrive, `left` ms more at most. */
  #gather(delay: number, left: number): void {
    this.#newcomerWhileGathering = false
    this.#joinTimer = this.#environment.clock.schedule(delay, () => {
      const next = Math.min(this.#environment.options.initialRebalanceDelayMs, left)
      if (this.#newcomerWhileGathering && next > 0) this.#gather(next, left - next)
      else this.#completeJoins()
    })
  }

  #waitForJoins(): void {
    const timeout = this.roster.slowestRebalance()
    this.#joinTimer = scheduleLimit(this.#environment.clock, timeout, () => this.#completeJoins())
  }

  /** Completes the rebalance that goes on, if there is one, as soon as nobody is missing. */
  continueRebalance(): void {
    if (this.#state !== 'PreparingRebalance' || this.#isGathering) return
    if (this.roster.everyoneJoined()) this.#completeJoins()
  }

  #completeJoins(): void {
    this.#stopTimers()
    this.#isGathering = false
    // Static members keep their place until their session ends, joined again or not.
    for (const member of this.roster.all()) {
      if (!member.awaitsJoin && member.instanceId === null) this.#drop(member)
    }
    if (this.roster.size > 0 && !this.roster.electJoinedLeader()) {
      this.#waitForJoins()
      return
    }
    this.#number += 1
    this.#protocol = this.roster.electProtocol()
    this.#topics = this.roster.subscribedTopics(this.#protocolType, this.#protocol)
    this.#state = this.roster.size === 0 ? 'Empty' : 'CompletingRebalance'
    if (this.#state === 'Empty') {
      this.#emptySince = this.#environment.clock.now()
      return
    }
    const timeout = this.roster.slowestRebalance()
    this.#syncTimer = scheduleLimit(this.#environment.clock, timeout, () => this.#expireSyncs())
    for (const member of this.roster.all()) {
      this.#awaitedSyncs.add(member.id)
      member.isNew = false
      this.expectHeartbeat(member)
      member.answerJoin(this.joined(member))
    }
  }

  #expireSyncs(): void {
    for (const memberId of this.#awaitedSyncs) {
      const member = this.roster.get(memberId)
      if (member) this.#drop(member)
    }
    this.#rebalance()
  }

  /** A sync in CompletingRebalance or Stable by a member of this generation. */
  sync(member: Member, request: SyncRequest, respond: (result: SyncResult) => void): void {
    this.#awaitedSyncs.delete(member.id)
    if (this.#awaitedSyncs.size === 0) this.#stopTimers()
    if (this.#state === 'Stable') {
      this.expectHeartbeat(member)
      respond(this.#assigned(member))
      return
    }
    member.answerSync(syncError(errorCodes.REBALANCE_IN_PROGRESS))
    member.parkSync(respond)
    if (this.roster.leader === member.id) this.#distribute(request)
  }

  /** Hands out what the leader decided; a member that it left out gets nothing to do. */
  #distribute(request: SyncRequest): void {
    const decided = new Map(request.assignments.map(({ memberId, assignment }) => [memberId, assignment]))
    const members = this.roster.all()
    if (!members.every((member) => this.#assign(member, decided.get(member.id) ?? noBytes))) {
      // There is no memory left for it. Kafka says the same when it cannot store an assignment.
      this.#prepareRebalance(errorCodes.UNKNOWN_SERVER_ERROR)
      return
    }
    this.#state = 'Stable'
    for (const member of members) {
      // A session that ended while the member waited here did not count; it begins anew.
      if (member.answerSync(this.#assigned(member))) this.expectHeartbeat(member)
    }
  }

  #assign(member: Member, assignment: Buffer): boolean {
    if (!this.#environment.budget.take(assignment.length - member.assignment.length)) return false
    // A slice of a request's frame would keep the whole frame in memory.
    member.assignment = Buffer.from(assignment)
    return true
  }

  /** The member was heard from: its session begins anew. */
  expectHeartbeat(member: Member): void {
    this.#expectWithin(member, member.sessionTimeoutMs)
  }

  #expectWithin(member: Member, timeout: number): void {
    member.heartbeat?.cancel()
    member.heartbeat = scheduleLimit(this.#environment.clock, timeout, () => {
      // Nobody is blamed for silence while the coordinator itself keeps it waiting, but for a new member, which
      // may have left long ago (see `add`).
      if (member.isNew || !(member.awaitsJoin || member.awaitsSync)) this.remove(member)
    })
  }

  /** Takes a member out and lets the others share its work. */
  remove(member: Member): void {
    this.#drop(member)
    this.#rebalance()
  }

  #drop(member: Member): void {
    member.heartbeat?.cancel()
    this.#environment.budget.give(member.bytes)
    this.roster.remove(member)
    member.answerJoin(joinError(errorCodes.UNKNOWN_MEMBER_ID, member.id))
    member.answerSync(syncError(errorCodes.UNKNOWN_MEMBER_ID))
  }

  /** What a member learns of this generation when its join is answered. */
  joined(member: Member): JoinResult {
    const leads = this.roster.leader === member.id
    return {
      error: errorCodes.NONE,
      generation: this.#number,
      protocolType: this.#protocolType,
      protocol: this.#protocol,
      leader: this.roster.leader ?? '',
      skipAssignment: false,
      memberId: member.id,
      members: leads ? this.roster.describeFor(this.#protocol) : [],
    }
  }

  #assigned(member: Member): SyncResult {
    const { assignment } = member
    return { error: errorCodes.NONE, protocolType: this.#protocolType, protocol: this.#protocol, assignment }
  }

  /** Answers everything that is parked with COORDINATOR_NOT_AVAILABLE, stops the timers, gives memory back. */
  close(): void {
    this.#state = 'Dead'
    this.#stopTimers()
    this.roster.clearPending()
    for (const member of this.roster.all()) {
      member.answerJoin(joinError(errorCodes.COORDINATOR_NOT_AVAILABLE, member.id))
      member.answerSync(syncError(errorCodes.COORDINATOR_NOT_AVAILABLE))
      this.#drop(member)
    }
  }

  #stopTimers(): void {
    this.#joinTimer?.cancel()
    this.#syncTimer?.cancel()
    this.#joinTimer = this.#syncTimer = null
  }
}
