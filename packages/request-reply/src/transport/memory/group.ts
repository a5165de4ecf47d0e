/**
 * The coordinator of one consumer group.
 *
 *     free ──assign──▶ held ──revoke──▶ moving ──release──▶ free
 *                       │                 │
 *                       └────── expel ────┴──────────────▶ free
 *
 * A partition has at most one owner, and only its owner's commits are applied: `held` and `moving` partitions can be
 * committed by the member that has them, nobody else.
 */
import { planBalance, type Claim } from './balance.ts'
import { topicMissing } from './refusals.ts'
import type { RefusedCommit } from '../commit-refusals.ts'
import type { Clock, ScheduledTimer } from '../../clock.ts'
import type { TransportError } from '../../errors.ts'
import { keyOf } from '../partition-key.ts'
import type { GroupOptions, CommittedOffset, OffsetToCommit, TopicPartition } from '../transport.ts'
import type { TopicLog } from './log.ts'

/** What a group needs of its cluster. */
export interface GroupSurroundings {
  readonly clock: Clock
  readonly topics: ReadonlyMap<string, TopicLog>
}

/** A partition together with where its new owner begins; `undefined`: nothing was committed. */
export interface AssignedPartition extends TopicPartition {
  readonly committed: CommittedOffset | undefined
}

/** What the coordinator tells a member; each call is a message, so none of them may call back at once. */
export interface GroupSession {
  assigned(partitions: readonly AssignedPartition[]): void
  revoke(partitions: readonly TopicPartition[]): void
  /** Their topic was deleted. */
  lost(partitions: readonly TopicPartition[]): void
  /** The group goes on without this member, which may join anew. */
  expelled(): void
  /** Another member has come under the same `groupInstanceId`. */
  replaced(): void
  failed(error: TransportError): void
}

export class GroupMember {
  readonly clientId: string
  readonly options: GroupOptions
  readonly session: GroupSession
  expiry: ScheduledTimer | undefined

  constructor(clientId: string, options: GroupOptions, session: GroupSession) {
    this.clientId = clientId
    this.options = options
    this.session = session
  }

  get sessionTimeout(): number {
    return this.options.sessionTimeout ?? 15_000
  }

  wants(topic: string): boolean {
    return this.options.topics.includes(topic)
  }
}

/** Who has a partition at this moment. */
export interface PartitionOwner {
  readonly clientId: string
  /** Another number for each time that a partition of this group is assigned. */
  readonly epoch: number
}

interface Ownership extends TopicPartition {
  readonly owner: GroupMember
  readonly epoch: number
  /** What the group had committed when `owner` got it: a commit of less is left over from before. */
  readonly floor: number
  /** Set while `owner` is letting it go. */
  destination: GroupMember | undefined
}

export class MemoryGroup {
  readonly #cluster: GroupSurroundings
  readonly #members = new Set<GroupMember>()
  readonly #owned = new Map<string, Ownership>()
  readonly #offsets = new Map<string, CommittedOffset>()
  #planned = false
  #epochs = 0

  constructor(cluster: GroupSurroundings) {
    this.#cluster = cluster
  }

  get offsets(): ReadonlyMap<string, CommittedOffset> {
    return this.#offsets
  }

  get hasMembers(): boolean {
    return this.#members.size > 0
  }

  ownerOf(partition: TopicPartition): PartitionOwner | undefined {
    const held = this.#owned.get(keyOf(partition))
    return held && { clientId: held.owner.clientId, epoch: held.epoch }
  }

  join(clientId: string, options: GroupOptions, session: GroupSession): GroupMember {
    const before = this.#memberOfInstance(options.groupInstanceId)
    const member = new GroupMember(clientId, options, session)
    this.#members.add(member)
    if (before) this.#replace(before, member)
    this.#balanceSoon()
    return member
  }

  /** A clean leave: what it has is free at once. */
  leave(member: GroupMember): void {
    this.#remove(member)
  }

  /** No heartbeat comes from this member any more: it keeps its place until its session has timed out. */
  silence(member: GroupMember): void {
    member.expiry ??= this.#cluster.clock.schedule(member.sessionTimeout, () => this.expel(member))
  }

  /** Heartbeats come again. */
  heard(member: GroupMember): void {
    member.expiry?.cancel()
    member.expiry = undefined
  }

  expel(member: GroupMember): void {
    if (!this.#members.has(member)) return
    this.#remove(member)
    member.session.expelled()
  }

  release(member: GroupMember, partitions: readonly TopicPartition[]): void {
    for (const partition of partitions)
      if (this.#owned.get(keyOf(partition))?.owner === member) this.#owned.delete(keyOf(partition))
    this.#balanceSoon()
  }

  /** Applies what the member may commit; returns what it may not. */
  commit(member: GroupMember, offsets: readonly OffsetToCommit[]): readonly RefusedCommit[] {
    const refused: RefusedCommit[] = []
    for (const offset of offsets) {
      const held = this.#owned.get(keyOf(offset))
      if (held?.owner !== member) refused.push({ ...offset, why: 'not held' })
      else if (offset.offset < held.floor) refused.push({ ...offset, why: { committed: held.floor } })
      else this.setCommitted({ ...offset, metadata: offset.metadata ?? '' })
    }
    return refused
  }

  setCommitted(committed: CommittedOffset): void {
    const { topic, partition, offset, metadata } = committed
    this.#offsets.set(keyOf(committed), { topic, partition, offset, metadata })
  }

  /** Topics or partitions have come. */
  topicsGrew(): void {
    this.#balanceSoon()
  }

  topicDeleted(topic: string): void {
    for (const [key, committed] of this.#offsets) if (committed.topic === topic) this.#offsets.delete(key)
    const taken = new Map<GroupMember, TopicPartition[]>()
    for (const [key, { owner, topic: owned, partition }] of this.#owned) {
      if (owned !== topic) continue
      this.#owned.delete(key)
      taken.set(owner, [...(taken.get(owner) ?? []), { topic, partition }])
    }
    for (const member of this.#members) {
      if (!member.wants(topic)) continue
      const partitions = taken.get(member)
      if (partitions) member.session.lost(partitions)
      member.session.failed(topicMissing(topic))
    }
  }

  #give(owner: GroupMember, { topic, partition }: TopicPartition): void {
    const epoch = ++this.#epochs
    const floor = this.#committed({ topic, partition })?.offset ?? -1
    const key = keyOf({ topic, partition })
    this.#owned.set(key, { topic, partition, owner, epoch, floor, destination: undefined })
  }

  #memberOfInstance(instanceId: string | undefined): GroupMember | undefined {
    if (instanceId === undefined) return undefined
    return [...this.#members].find((member) => member.options.groupInstanceId === instanceId)
  }

  /** KIP-345: the newcomer has the place, and with it the partitions, of the member that it replaces. */
  #replace(before: GroupMember, member: GroupMember): void {
    this.heard(before)
    this.#members.delete(before)
    before.session.replaced()
    const inherited: AssignedPartition[] = []
    for (const held of this.#owned.values()) {
      if (held.destination === before) held.destination = member
      if (held.owner !== before) continue
      this.#give(member, held)
      inherited.push(this.#assignment(held))
    }
    if (inherited.length > 0) member.session.assigned(inherited)
  }

  #remove(member: GroupMember): void {
    this.heard(member)
    this.#members.delete(member)
    for (const [key, { owner }] of this.#owned) if (owner === member) this.#owned.delete(key)
    this.#balanceSoon()
  }

  /** Everything that happens at one moment is one rebalance. */
  #balanceSoon(): void {
    if (this.#planned) return
    this.#planned = true
    this.#cluster.clock.schedule(0, () => {
      this.#planned = false
      this.#balance()
    })
  }

  #balance(): void {
    const members = [...this.#members]
    const claims = this.#claims(members)
    const plan = planBalance(members, claims)
    const assigned = new Map<GroupMember, AssignedPartition[]>(members.map((member) => [member, []]))
    const revoked = new Map<GroupMember, TopicPartition[]>()
    for (const { key, topic, partition } of claims) {
      const taker = plan.assign.get(key)
      if (taker) {
        this.#give(taker, { topic, partition })
        assigned.get(taker)!.push(this.#assignment({ topic, partition }))
      }
      const destination = plan.move.get(key)
      const held = this.#owned.get(key)
      if (!destination || !held) continue
      held.destination = destination
      revoked.set(held.owner, [...(revoked.get(held.owner) ?? []), { topic, partition }])
    }
    for (const [member, partitions] of revoked) member.session.revoke(partitions)
    for (const [member, partitions] of assigned) member.session.assigned(partitions)
  }

  #claims(members: readonly GroupMember[]): (Claim<GroupMember> & TopicPartition)[] {
    const topics = [...new Set(members.flatMap((member) => member.options.topics))]
    return topics.flatMap((name) =>
      (this.#cluster.topics.get(name)?.partitions ?? []).map(({ topic, partition }) => {
        const key = keyOf({ topic, partition })
        const held = this.#owned.get(key)
        const moving = held?.destination !== undefined
        const destination = moving && this.#members.has(held.destination!) ? held.destination : held?.owner
        return { key, topic, partition, holder: destination, moving }
      }),
    )
  }

  #assignment({ topic, partition }: TopicPartition): AssignedPartition {
    return { topic, partition, committed: this.#committed({ topic, partition }) }
  }

  /** Beyond the end of the log it is of one that is gone, and says nothing of this one. */
  #committed(at: TopicPartition): CommittedOffset | undefined {
    const committed = this.#offsets.get(keyOf(at))
    const end = this.#cluster.topics.get(at.topic)?.partitions[at.partition]?.records.length ?? 0
    return committed === undefined || committed.offset > end ? undefined : committed
  }
}
