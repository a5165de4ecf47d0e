/*
 * Terms. A *group* shares work among *members*. A member is *dynamic* (its id comes from the coordinator
 * and dies with it) or *static* (it has an *instance id* of its own choice, under which a restarted process
 * takes its old place, KIP-345). A *generation* is one agreed distribution of the work; the *leader* makes it,
 * the coordinator hands each member its *assignment*. A *pending member* was given an id and has not come
 * back with it yet (KIP-394). A *simple consumer* commits offsets without ever joining: generation -1.
 *
 * These are plain inputs and outputs: the API files translate every protocol version to and from them.
 * `error` is a code of the protocol, 0 for success. Bytes that are kept are copied by the coordinator.
 */

/** Where a group stands; drawn in group.ts. */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

/** One way of distributing work that a member knows, with its subscription in that protocol's format. */
export interface MemberProtocol {
  name: string
  metadata: Buffer
}

export interface JoinRequest {
  groupId: string
  /** Empty when the member has none yet. */
  memberId: string
  /** Non-null makes the member static. */
  instanceId: string | null
  clientId: string
  /** Shown by DescribeGroups only. */
  clientHost: string
  sessionTimeoutMs: number
  /** How long this member may take to rejoin; version 0 has none and sends the session timeout here. */
  rebalanceTimeoutMs: number
  protocolType: string
  /** In the member's order of preference. */
  protocols: readonly MemberProtocol[]
  /** JoinGroup 4 and later: a new dynamic member is first given an id to come back with (KIP-394). */
  requireMemberId: boolean
  /** JoinGroup 9 and later: a rejoining static leader is told to skip the assignment (KIP-814). */
  canSkipAssignment: boolean
}

export interface JoinedMember {
  memberId: string
  instanceId: string | null
  metadata: Buffer
}

export interface JoinResult {
  error: number
  /** -1 on error. */
  generation: number
  protocolType: string | null
  protocol: string | null
  leader: string
  skipAssignment: boolean
  memberId: string
  /** Everyone, for the leader; empty for the others. */
  members: JoinedMember[]
}

/** Who speaks, in requests that only a member of the current generation may make. */
export interface MemberIdentity {
  groupId: string
  memberId: string
  instanceId: string | null
  /** -1 from a simple consumer or an administrator. */
  generation: number
}

export interface SyncRequest extends MemberIdentity {
  /** Null before SyncGroup 5; otherwise it must be the group's. */
  protocolType: string | null
  protocol: string | null
  /** From the leader; empty from the others. */
  assignments: readonly { memberId: string; assignment: Buffer }[]
}

export interface SyncResult {
  error: number
  protocolType: string | null
  protocol: string | null
  assignment: Buffer
}

export interface LeavingMember {
  /** Empty when an administrator removes a static member by its instance id. */
  memberId: string
  instanceId: string | null
}

export interface LeaveResult {
  error: number
  members: { memberId: string; instanceId: string | null; error: number }[]
}

export interface OffsetToCommit {
  topic: string
  partition: number
  offset: number
  /** -1 when the client does not know it. */
  leaderEpoch: number
  metadata: string
}

export interface CommittedOffset {
  offset: number
  leaderEpoch: number
  metadata: string
}

export interface TopicPartition {
  topic: string
  partition: number
}

export interface PartitionOutcome extends TopicPartition {
  error: number
}

export interface FetchedOffset extends TopicPartition, CommittedOffset {}

export interface GroupDescription {
  error: number
  groupId: string
  /** `Dead` for a group that does not exist, as Kafka answers up to DescribeGroups 5. */
  state: GroupState
  protocolType: string
  protocol: string
  members: MemberDescription[]
}

export interface MemberDescription {
  memberId: string
  instanceId: string | null
  clientId: string
  clientHost: string
  /** Empty unless the group is stable. */
  metadata: Buffer
  assignment: Buffer
}

export interface GroupListing {
  groupId: string
  protocolType: string
  state: GroupState
}
