import { errorCodes } from '../wire/error-codes.ts'
import { joinError, syncError } from './answers.ts'
import { Budget } from './budget.ts'
import { systemClock } from './clock.ts'
import type { Clock, Timer } from './clock.ts'
import type { GroupEnvironment } from './generations.ts'
import { Group } from './group.ts'
import { completeGroupOptions } from './options.ts'
import type { GroupOptions } from './options.ts'
import { consumerProtocolType } from './protocols.ts'
import type {
  CommittedOffset,
  FetchedOffset,
  GroupDescription,
  GroupListing,
  JoinRequest,
  JoinResult,
  LeaveResult,
  LeavingMember,
  MemberIdentity,
  OffsetToCommit,
  PartitionOutcome,
  SyncRequest,
  SyncResult,
  TopicPartition,
} from './types.ts'

// What a group takes beside its id's letters.
const flatGroupBytes = 2048

/** A group without members that was used within so many ms is not forgotten for others. */
const evictableAfterMs = 60_000

const noOffset: CommittedOffset = { offset: -1, leaderEpoch: -1, metadata: '' }

export interface CoordinatorSettings {
  /** Whether the broker has this partition: offsets are committed for nothing else. */
  hasPartition: (topic: string, partition: number) => boolean
  options?: GroupOptions | undefined
  clock?: Clock | undefined
  /** Told when a group and its offsets were forgotten to make room for others. */
  onEvicted?: ((groupId: string) => void) | undefined
}

/**
 * All groups of the broker: their membership, their committed offsets, and what administrators may do to them.
 *
 * Speaks no version of the protocol; types.ts says what goes in and comes out. Everything answers at once but `join`
 * and `sync`, which wait for other members; `close` ends that wait. Memory has bounds (options.ts): what would
 * exceed them is refused, GROUP_MAX_SIZE_REACHED to members and INVALID_COMMIT_OFFSET_SIZE to commits; but first groups
 * without members give way, the one that was unused for the longest before the others. Committed offsets expire as
 * Kafka's do (KIP-211).
 */
export class GroupCoordinator {
  readonly #hasPartition: (topic: string, partition: number) => boolean
  readonly #environment: GroupEnvironment & { readonly budget: Budget }
  readonly #onEvicted: (groupId: string) => void
  readonly #groups = new Map<string, Group>()
  #sweepTimer: Timer | null = null
  #isClosed = false

  constructor(settings: CoordinatorSettings) {
    const options = completeGroupOptions(settings.options)
    this.#hasPartition = settings.hasPartition
    this.#onEvicted = settings.onEvicted ?? (() => {})
    this.#environment = {
      options,
      clock: settings.clock ?? systemClock,
      budget: new Budget(options.maxBytes, () => this.#evict()),
    }
  }

  /** Bytes that the groups take, as far as they are counted. */
  get bytes(): number {
    return this.#environment.budget.used
  }

  /** Waits until the group's next generation begins. Only a first join (without a member id) makes a group. */
  join(request: JoinRequest): Promise<JoinResult> {
    const { groupId, memberId, sessionTimeoutMs } = request
    const { minSessionTimeoutMs, maxSessionTimeoutMs } = this.#environment.options
    if (this.#isClosed) return refuseJoin(errorCodes.COORDINATOR_NOT_AVAILABLE, memberId)
    if (groupId === '') return refuseJoin(errorCodes.INVALID_GROUP_ID, memberId)
    if (sessionTimeoutMs < minSessionTimeoutMs || sessionTimeoutMs > maxSessionTimeoutMs) {
      return refuseJoin(errorCodes.INVALID_SESSION_TIMEOUT, memberId)
    }
    const known = this.#groups.get(groupId)
    if (!known && memberId !== '') return refuseJoin(errorCodes.UNKNOWN_MEMBER_ID, memberId)
    const group = known ?? this.#create(groupId)
    if (!group) return refuseJoin(errorCodes.GROUP_MAX_SIZE_REACHED, memberId)
    return new Promise((resolve) => {
      group.join(request, resolve)
      if (!known && group.isUnused) this.#forget(group)
    })
  }

  /** Waits until the leader has distributed the work. */
  sync(request: SyncRequest): Promise<SyncResult> {
    const group = this.#groups.get(request.groupId)
    if (!group) return Promise.resolve(syncError(this.#noMember(request.groupId)))
    return new Promise((resolve) => group.sync(request, resolve))
  }

  heartbeat(identity: MemberIdentity): number {
    const group = this.#groups.get(identity.groupId)
    return group ? group.heartbeat(identity) : this.#noMember(identity.groupId)
  }

  leave(groupId: string, members: readonly LeavingMember[]): LeaveResult {
    const group = this.#groups.get(groupId)
    if (!group) return { error: this.#noMember(groupId), members: [] }
    const outcomes = members.map((member) => ({ ...member, error: group.leave(member) }))
    return { error: errorCodes.NONE, members: outcomes }
  }

  #noMember(groupId: string): number {
    if (this.#isClosed) return errorCodes.COORDINATOR_NOT_AVAILABLE
    return groupId === '' ? errorCodes.INVALID_GROUP_ID : errorCodes.UNKNOWN_MEMBER_ID
  }

  /** A generation of -1 commits for a group without members and makes the group if there is none. */
  commitOffsets(identity: MemberIdentity, offsets: readonly OffsetToCommit[]): PartitionOutcome[] {
    const { groupId, generation } = identity
    const known = this.#groups.get(groupId)
    if (this.#isClosed) return sameOutcome(offsets, errorCodes.COORDINATOR_NOT_AVAILABLE)
    if (!known && generation >= 0) return sameOutcome(offsets, errorCodes.ILLEGAL_GENERATION)
    const group = known ?? this.#create(groupId)
    if (!group) return sameOutcome(offsets, errorCodes.INVALID_COMMIT_OFFSET_SIZE)
    group.touch()
    const error = group.admitCommit(identity)
    if (error !== errorCodes.NONE) return sameOutcome(offsets, error)
    const outcomes = offsets.map((commit) => ({
      topic: commit.topic,
      partition: commit.partition,
      error: this.#commit(group, commit),
    }))
    if (!known && group.isUnused) this.#forget(group)
    return outcomes
  }

  #commit(group: Group, commit: OffsetToCommit): number {
    const { topic, partition, offset, metadata } = commit
    if (!this.#hasPartition(topic, partition)) return errorCodes.UNKNOWN_TOPIC_OR_PARTITION
    // Apache Kafka, too, counts the characters of a Java string, whatever its option is called.
    if (metadata.length > this.#environment.options.maxOffsetMetadataBytes) {
      return errorCodes.OFFSET_METADATA_TOO_LARGE
    }
    // Offsets are plain numbers here; one beyond 2^53 could not be given back unchanged.
    if (!Number.isSafeInteger(offset)) return errorCodes.INVALID_COMMIT_OFFSET_SIZE
    return group.offsets.set(commit, this.#environment.clock.now())
      ? errorCodes.NONE
      : errorCodes.INVALID_COMMIT_OFFSET_SIZE
  }

  /**
   * The committed offsets of these partitions, or of all that the group has (null). A partition without one, and a
   * group that does not exist, give offset -1 and no error.
   */
  fetchOffsets(
    groupId: string,
    partitions: readonly TopicPartition[] | null,
  ): { error: number; offsets: FetchedOffset[] } {
    // Offset -1 would tell a consumer to start elsewhere than where its group stands.
    if (this.#isClosed) return { error: errorCodes.COORDINATOR_NOT_AVAILABLE, offsets: [] }
    const group = this.#groups.get(groupId)
    group?.touch()
    const committed = group?.offsets
    const offsets = (partitions ?? committed?.partitions() ?? []).map(({ topic, partition }) => {
      const { offset, leaderEpoch, metadata } = committed?.get(topic, partition) ?? noOffset
      return { topic, partition, offset, leaderEpoch, metadata }
    })
    return { error: errorCodes.NONE, offsets }
  }

  /** Deletes committed offsets; partly done if some partitions are refused. */
  deleteOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): { error: number; partitions: PartitionOutcome[] } {
    const group = this.#groups.get(groupId)
    if (!group) return { error: this.#noGroup(), partitions: [] }
    const isConsumers = group.protocolType === consumerProtocolType
    if (group.state !== 'Empty' && !isConsumers) return { error: errorCodes.NON_EMPTY_GROUP, partitions: [] }
    const outcomes = partitions.map(({ topic, partition }) => {
      let error: number = errorCodes.NONE
      if (!this.#hasPartition(topic, partition)) error = errorCodes.UNKNOWN_TOPIC_OR_PARTITION
      else if (group.isSubscribedTo(topic)) error = errorCodes.GROUP_SUBSCRIBED_TO_TOPIC
      else group.offsets.delete(topic, partition)
      return { topic, partition, error }
    })
    return { error: errorCodes.NONE, partitions: outcomes }
  }

  describe(groupId: string): GroupDescription {
    const group = this.#groups.get(groupId)
    if (group) return group.describe()
    const error = this.#isClosed ? errorCodes.COORDINATOR_NOT_AVAILABLE : errorCodes.NONE
    return { error, groupId, state: 'Dead', protocolType: '', protocol: '', members: [] }
  }

  list(): GroupListing[] {
    return [...this.#groups.values()].map(({ id, protocolType, state }) => ({
      groupId: id,
      protocolType,
      state,
    }))
  }

  /** Deletes a group and its offsets; only a group without members can be. */
  delete(groupId: string): number {
    const group = this.#groups.get(groupId)
    if (!group) return this.#noGroup()
    if (group.state !== 'Empty') return errorCodes.NON_EMPTY_GROUP
    this.#forget(group)
    return errorCodes.NONE
  }

  #noGroup(): number {
    return this.#isClosed ? errorCodes.COORDINATOR_NOT_AVAILABLE : errorCodes.GROUP_ID_NOT_FOUND
  }

  /** A topic was deleted: its committed offsets go with it. */
  topicDeleted(topic: string): void {
    for (const group of this.#groups.values()) group.offsets.deleteTopic(topic)
  }

  /** Answers every parked request with COORDINATOR_NOT_AVAILABLE and stops every timer; later ones likewise. */
  close(): void {
    this.#isClosed = true
    for (const group of this.#groups.values()) this.#forget(group)
  }

  /** Null when there are as many groups as may be, or no memory is left. */
  #create(groupId: string): Group | null {
    const { budget, options } = this.#environment
    if (this.#groups.size >= options.maxGroups) this.#sweep()
    if (this.#groups.size >= options.maxGroups) this.#evict()
    if (this.#groups.size >= options.maxGroups || !budget.take(groupBytes(groupId))) return null
    const group = new Group(groupId, this.#environment)
    this.#groups.set(groupId, group)
    this.#scheduleSweep()
    return group
  }

  #forget(group: Group): void {
    group.close()
    this.#groups.delete(group.id)
    this.#environment.budget.give(groupBytes(group.id))
    if (this.#groups.size > 0) return
    this.#sweepTimer?.cancel()
    this.#sweepTimer = null
  }

  #scheduleSweep(): void {
    this.#sweepTimer ??= this.#environment.clock.schedule(this.#environment.options.emptyGroupCheckMs, () => {
      this.#sweepTimer = null
      this.#sweep()
      if (this.#groups.size > 0) this.#scheduleSweep()
    })
  }

  #sweep(): void {
    for (const group of this.#groups.values()) {
      group.expireOffsets()
      if (group.isUnused) this.#forget(group)
    }
  }

  /** Forgets the group without members that was unused for the longest; false if each is in use, or was just now. */
  #evict(): boolean {
    const before = this.#environment.clock.now() - evictableAfterMs
    let longest: Group | undefined
    for (const group of this.#groups.values()) {
      if (!group.isWithoutMembers || group.usedAt > before) continue
      if (longest === undefined || group.usedAt < longest.usedAt) longest = group
    }
    if (longest === undefined) return false
    this.#forget(longest)
    this.#onEvicted(longest.id)
    return true
  }
}

function groupBytes(groupId: string): number {
  return flatGroupBytes + 2 * groupId.length
}

function refuseJoin(error: number, memberId: string): Promise<JoinResult> {
  return Promise.resolve(joinError(error, memberId))
}

function sameOutcome(partitions: readonly TopicPartition[], error: number): PartitionOutcome[] {
  return partitions.map(({ topic, partition }) => ({ topic, partition, error }))
}
