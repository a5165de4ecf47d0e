import type { Timer } from './clock.ts'
import { commonProtocols, consumerProtocolType, electProtocol, subscribedTopics } from './protocols.ts'
import type { Member } from './member.ts'
import type { JoinedMember, MemberProtocol } from './types.ts'

/** The members of one group, by id and by instance id, their leader, and those that are pending. */
export class Roster {
  readonly #members = new Map<string, Member>()
  readonly #staticIds = new Map<string, string>()
  /** Ids given out and not come back with yet, each with the timer that forgets it. */
  readonly #pending = new Map<string, Timer>()
  #leader: string | null = null

  get size(): number {
    return this.#members.size
  }

  get pendingSize(): number {
    return this.#pending.size
  }

  get leader(): string | null {
    return this.#leader
  }

  get(memberId: string): Member | undefined {
    return this.#members.get(memberId)
  }

  /** A copy: members may be removed while it is gone through. */
  all(): Member[] {
    return [...this.#members.values()]
  }

  staticId(instanceId: string): string | undefined {
    return this.#staticIds.get(instanceId)
  }

  /** The first member becomes the leader. */
  add(member: Member): void {
    this.#members.set(member.id, member)
    if (member.instanceId !== null) this.#staticIds.set(member.instanceId, member.id)
    this.#leader ??= member.id
  }

  /** When the leader goes, the longest-standing member leads. */
  remove(member: Member): void {
    this.#members.delete(member.id)
    if (member.instanceId !== null && this.#staticIds.get(member.instanceId) === member.id) {
      this.#staticIds.delete(member.instanceId)
    }
    if (this.#leader === member.id) this.#leader = this.#members.keys().next().value ?? null
  }

  /** Gives a static member that came back its new id, in its old place. */
  rename(member: Member, memberId: string): void {
    const wasLeader = this.#leader === member.id
    this.remove(member)
    member.id = memberId
    this.add(member)
    if (wasLeader) this.#leader = memberId
  }

  /** Makes sure that the leader is a member that has joined again; false when nobody has. */
  electJoinedLeader(): boolean {
    if (this.#leader === null) return false
    if (this.#members.get(this.#leader)?.awaitsJoin === true) return true
    const joined = this.all().find((member) => member.awaitsJoin)
    if (joined) this.#leader = joined.id
    return joined !== undefined
  }

  addPending(memberId: string, timer: Timer): void {
    this.#pending.set(memberId, timer)
  }

  isPending(memberId: string): boolean {
    return this.#pending.has(memberId)
  }

  /** False when it was not pending. */
  removePending(memberId: string): boolean {
    this.#pending.get(memberId)?.cancel()
    return this.#pending.delete(memberId)
  }

  clearPending(): void {
    for (const timer of this.#pending.values()) timer.cancel()
    this.#pending.clear()
  }

  /** Whether someone with these protocols can work with everyone that is here. */
  accepts(protocols: readonly MemberProtocol[]): boolean {
    const common = commonProtocols(this.all().map((member) => member.protocols))
    return protocols.some((protocol) => common.has(protocol.name))
  }

  electProtocol(): string | null {
    return electProtocol(this.all().map((member) => member.protocols))
  }

  everyoneJoined(): boolean {
    return this.#pending.size === 0 && this.all().every((member) => member.awaitsJoin)
  }

  slowestRebalance(): number {
    return Math.max(0, ...this.all().map((member) => member.rebalanceTimeoutMs))
  }

  describeFor(protocol: string | null): JoinedMember[] {
    return this.all().map((member) => ({
      memberId: member.id,
      instanceId: member.instanceId,
      metadata: member.metadata(protocol),
    }))
  }

  /** Topics that any member reads; null when the subscriptions are not a consumer's or cannot be read. */
  subscribedTopics(protocolType: string | null, protocol: string | null): Set<string> | null {
    if (protocolType !== consumerProtocolType || protocol === null) return null
    const topics = new Set<string>()
    for (const member of this.all()) {
      const subscribed = subscribedTopics(member.metadata(protocol))
      if (subscribed === null) return null
      for (const topic of subscribed) topics.add(topic)
    }
    return topics
  }
}
