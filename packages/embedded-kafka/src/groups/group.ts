import { randomUUID } from 'node:crypto'
import { errorCodes } from '../wire/error-codes.ts'
import { joinError, noBytes, syncError } from './answers.ts'
import { BudgetShare } from './budget.ts'
import { Generations } from './generations.ts'
import type { GroupEnvironment } from './generations.ts'
import { CommittedOffsets } from './offsets.ts'
import type {
  GroupDescription,
  GroupState,
  JoinRequest,
  JoinResult,
  LeavingMember,
  MemberIdentity,
  SyncRequest,
  SyncResult,
} from './types.ts'

// An id must fit into the protocol's strings whatever the client calls itself.
const longestIdPrefix = 249

/** One group may have this part of the memory of all, a quarter, or this many bytes if that is more. */
const groupShare = 4
const smallestShare = 65_536
/** Kafka's clients know one to five; each is gone through whenever a member joins. */
const mostProtocols = 100

/** One group under the classic protocol: it checks who may do what; generations.ts carries it out. */
export class Group {
  readonly id: string
  readonly offsets: CommittedOffsets
  readonly #generations: Generations
  readonly #maxSize: number
  readonly #environment: GroupEnvironment
  #usedAt: number

  constructor(id: string, environment: GroupEnvironment) {
    this.id = id
    const share = Math.max(environment.options.maxBytes / groupShare, smallestShare)
    this.#environment = { ...environment, budget: new BudgetShare(environment.budget, share) }
    this.offsets = new CommittedOffsets(this.#environment.budget)
    this.#generations = new Generations(this.#environment)
    this.#maxSize = environment.options.maxGroupSize
    this.#usedAt = environment.clock.now()
  }

  get state(): GroupState {
    return this.#generations.state
  }

  /** Empty as long as nobody has joined: a group of simple consumers. */
  get protocolType(): string {
    return this.#generations.protocolType ?? ''
  }

  /** Nobody is in it nor on the way into it. */
  get isWithoutMembers(): boolean {
    return this.state === 'Empty' && this.#generations.roster.pendingSize === 0
  }

  /** When somebody last committed to it, asked for its offsets or was its member; ms since the epoch. */
  get usedAt(): number {
    return Math.max(this.#usedAt, this.#generations.emptySince)
  }

  /** Somebody uses it, as a member or without. */
  touch(): void {
    this.#usedAt = this.#environment.clock.now()
  }

  /**
   * Drops the offsets that expired (KIP-211): those of a group without members, counted from when it lost them; those
   * of one that never had any, each from its commit; and those of topics that a stable group does not read any more.
   */
  expireOffsets(): void {
    const { clock, options } = this.#environment
    const before = clock.now() - options.offsetsRetentionMs
    const { topics, protocolType, emptySince } = this.#generations
    const isEmpty = this.state === 'Empty'
    if (isEmpty && protocolType !== null && emptySince > before) return
    if (!isEmpty && (this.state !== 'Stable' || topics === null)) return
    for (const { topic, partition } of this.offsets.partitions()) {
      if (!isEmpty && topics?.has(topic) === true) continue
      const committedAt = this.offsets.get(topic, partition)?.committedAt ?? Infinity
      if (committedAt <= before) this.offsets.delete(topic, partition)
    }
  }

  /** Nothing would be lost by forgetting it. */
  get isUnused(): boolean {
    return this.isWithoutMembers && this.offsets.isEmpty
  }

  isSubscribedTo(topic: string): boolean {
    return this.#generations.isSubscribedTo(topic)
  }

  /** Answers through `respond` at once or, when the group has to wait for others, later. */
  join(request: JoinRequest, respond: (result: JoinResult) => void): void {
    const error = this.#refuseJoin(request)
    if (error !== errorCodes.NONE) respond(joinError(error, request.memberId))
    else if (request.memberId === '') this.#joinAnew(request, respond)
    else this.#joinAgain(request, respond)
  }

  #refuseJoin(request: JoinRequest): number {
    const { roster } = this.#generations
    if (this.state === 'Dead') return errorCodes.COORDINATOR_NOT_AVAILABLE
    if (!this.#hasRoomFor(request)) return errorCodes.GROUP_MAX_SIZE_REACHED
    const { protocolType, protocols } = request
    if (protocolType === '' || protocols.length === 0 || protocols.length > mostProtocols)
      return errorCodes.INCONSISTENT_GROUP_PROTOCOL
    if (roster.size === 0) return errorCodes.NONE
    const fits = protocolType === this.protocolType && roster.accepts(protocols)
    return fits ? errorCodes.NONE : errorCodes.INCONSISTENT_GROUP_PROTOCOL
  }

  #hasRoomFor({ memberId, instanceId }: JoinRequest): boolean {
    const { roster } = this.#generations
    if (roster.get(memberId)) return true
    if (memberId === '' && instanceId !== null && roster.staticId(instanceId) !== undefined) return true
    if (memberId === '' && roster.pendingSize >= this.#maxSize) return false
    return roster.size < this.#maxSize
  }

  #joinAnew(request: JoinRequest, respond: (result: JoinResult) => void): void {
    const { instanceId, clientId } = request
    const prefix = instanceId ?? (clientId || 'member')
    const memberId = `${prefix.slice(0, longestIdPrefix)}-${randomUUID()}`
    if (instanceId !== null && this.#generations.roster.staticId(instanceId) !== undefined) {
      this.#replaceStatic(instanceId, memberId, request, respond)
    } else if (instanceId === null && request.requireMemberId) {
      this.#generations.addPending(memberId, request.sessionTimeoutMs)
      respond(joinError(errorCodes.MEMBER_ID_REQUIRED, memberId))
    } else {
      this.#generations.add(memberId, request, respond)
    }
  }

  /**
   * A static member came back without its id, most likely as a restarted process. It takes over the assignment
   * without a rebalance, provided that the group's protocol stays the same.
   */
  #replaceStatic(
    instanceId: string,
    memberId: string,
    request: JoinRequest,
    respond: (result: JoinResult) => void,
  ): void {
    const { roster, protocol } = this.#generations
    const member = roster.get(roster.staticId(instanceId) ?? '')
    if (!member || !this.#generations.update(member, request)) {
      respond(joinError(errorCodes.GROUP_MAX_SIZE_REACHED, ''))
      return
    }
    const formerLeader = roster.leader ?? ''
    this.#generations.rename(member, memberId)
    if (this.state !== 'Stable' || roster.electProtocol() !== protocol) {
      // While it completes a rebalance, the leader may already be distributing the work over the old id.
      this.#generations.rejoin(member, respond)
      return
    }
    const joined = this.#generations.joined(member)
    if (request.canSkipAssignment) respond({ ...joined, skipAssignment: roster.leader === memberId })
    // Without KIP-814, a leader that is told so distributes the work anew, and nobody would listen: it is told
    // the id that it had before as the leader's.
    else respond({ ...joined, leader: formerLeader, members: [] })
  }

  #joinAgain(request: JoinRequest, respond: (result: JoinResult) => void): void {
    const { memberId } = request
    const { roster } = this.#generations
    if (request.instanceId === null && roster.isPending(memberId)) {
      this.#generations.add(memberId, request, respond)
      return
    }
    const error = this.#identify(request)
    const member = roster.get(memberId)
    if (error !== errorCodes.NONE || !member) {
      respond(joinError(error, memberId))
      return
    }
    // A client that missed the answer, or asks without need, gets what the group agreed on. A stable group's
    // leader asks because something changed that only it can see, such as a topic's partitions.
    const mayRepeat = roster.leader !== memberId || this.state === 'CompletingRebalance'
    const isSettled = this.state === 'CompletingRebalance' || this.state === 'Stable'
    if (isSettled && mayRepeat && member.knows(request.protocols)) {
      respond(this.#generations.joined(member))
    } else if (this.#generations.update(member, request)) {
      this.#generations.rejoin(member, respond)
    } else {
      respond(joinError(errorCodes.GROUP_MAX_SIZE_REACHED, memberId))
    }
  }

  /** Answers a follower when the leader has distributed the work. */
  sync(request: SyncRequest, respond: (result: SyncResult) => void): void {
    const error = this.#refuseSync(request)
    const member = this.#generations.roster.get(request.memberId)
    if (error !== errorCodes.NONE || !member) respond(syncError(error))
    else this.#generations.sync(member, request, respond)
  }

  #refuseSync(request: SyncRequest): number {
    const error = this.#refuse(request)
    if (error !== errorCodes.NONE) return error
    const { protocolType, protocol } = request
    const ofType = protocolType === null || protocolType === this.protocolType
    const ofProtocol = protocol === null || protocol === this.#generations.protocol
    if (!ofType || !ofProtocol) return errorCodes.INCONSISTENT_GROUP_PROTOCOL
    return this.state === 'PreparingRebalance' ? errorCodes.REBALANCE_IN_PROGRESS : errorCodes.NONE
  }

  heartbeat(identity: MemberIdentity): number {
    const error = this.#refuse(identity)
    const member = this.#generations.roster.get(identity.memberId)
    if (error !== errorCodes.NONE || !member) return error
    this.#generations.expectHeartbeat(member)
    return this.state === 'PreparingRebalance' ? errorCodes.REBALANCE_IN_PROGRESS : errorCodes.NONE
  }

  /** Error for somebody who claims to be a member of the current generation. */
  #refuse(identity: MemberIdentity): number {
    if (this.state === 'Dead') return errorCodes.COORDINATOR_NOT_AVAILABLE
    const error = this.#identify(identity)
    if (error !== errorCodes.NONE) return error
    return identity.generation === this.#generations.number ? errorCodes.NONE : errorCodes.ILLEGAL_GENERATION
  }

  #identify({ memberId, instanceId }: LeavingMember): number {
    const { roster } = this.#generations
    const holder = instanceId === null ? memberId : roster.staticId(instanceId)
    if (holder === undefined) return errorCodes.UNKNOWN_MEMBER_ID
    if (holder !== memberId) return errorCodes.FENCED_INSTANCE_ID
    return roster.get(memberId) ? errorCodes.NONE : errorCodes.UNKNOWN_MEMBER_ID
  }

  /**
   * Error for an offset commit. One from outside any generation is for groups without members; one of a member
   * must be of its generation, and counts as its heartbeat.
   */
  admitCommit(identity: MemberIdentity): number {
    if (identity.generation < 0 && this.state === 'Empty') return errorCodes.NONE
    const error = this.#refuse(identity)
    const member = this.#generations.roster.get(identity.memberId)
    if (error !== errorCodes.NONE || !member) return error
    // Its assignment is not out yet: it cannot have read anything in this generation.
    if (this.state === 'CompletingRebalance') return errorCodes.REBALANCE_IN_PROGRESS
    this.#generations.expectHeartbeat(member)
    return errorCodes.NONE
  }

  leave({ memberId, instanceId }: LeavingMember): number {
    const { roster } = this.#generations
    if (this.state === 'Dead') return errorCodes.COORDINATOR_NOT_AVAILABLE
    if (roster.removePending(memberId)) {
      this.#generations.continueRebalance()
      return errorCodes.NONE
    }
    // Without a member id it is an administrator who removes whoever holds the instance id.
    const id = memberId === '' && instanceId !== null ? (roster.staticId(instanceId) ?? '') : memberId
    const error = this.#identify({ memberId: id, instanceId })
    const member = roster.get(id)
    if (error === errorCodes.NONE && member) this.#generations.remove(member)
    return error
  }

  describe(): GroupDescription {
    const { roster, protocol } = this.#generations
    const isStable = this.state === 'Stable'
    return {
      error: errorCodes.NONE,
      groupId: this.id,
      state: this.state,
      protocolType: this.protocolType,
      protocol: isStable ? (protocol ?? '') : '',
      members: roster.all().map((member) => ({
        memberId: member.id,
        instanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        metadata: isStable ? member.metadata(protocol) : noBytes,
        assignment: isStable ? member.assignment : noBytes,
      })),
    }
  }

  /** Answers everything that is parked with COORDINATOR_NOT_AVAILABLE, stops the timers, gives memory back. */
  close(): void {
    this.#generations.close()
    this.offsets.clear()
  }
}
