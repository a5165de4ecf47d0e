/** What the group's leader does beside: it shares everybody's partitions out, and notices when there are more, or fewer. */
import { assignPartitions } from './assignment.ts'
import type { JoinAnswer } from './coordinator-requests.ts'
import type { Metadata } from '../cluster/metadata.ts'
import { readSubscription, writeAssignment } from '../protocol/consumer-protocol.ts'

/** Milliseconds between two looks for partitions that were added. */
const LOOK_EVERY = 2_000
/**
 * Milliseconds for which partitions that are to move may be nobody's. Who lets go of them joins again, and that shares them
 * out. A static member that dies before that comes back in its place with what is left to it, and nobody joins again: the
 * group is stable, and they would be nobody's for ever.
 */
const WITHHELD = 5_000

export class GroupLeader {
  readonly #metadata: Metadata
  readonly #watches = new Map<string, () => void>()
  /** How many partitions each topic had when they were shared out; `undefined` while another member leads. */
  #counts: ReadonlyMap<string, number> | undefined
  #lookAt = 0
  /** Until when what was withheld, or may have been by a leader that this one took the place of, may be nobody's. */
  #withheldUntil = Infinity

  constructor(metadata: Metadata) {
    this.#metadata = metadata
  }

  watch(topics: Iterable<string>): void {
    for (const topic of topics) {
      if (!this.#watches.has(topic)) this.#watches.set(topic, this.#metadata.watch(topic))
    }
  }

  /** This member leads: shares everybody's partitions out. Rejects when no broker tells how many there are. */
  async share(joined: JoinAnswer): Promise<{ memberId: string; assignment: Buffer }[]> {
    const subscriptions = joined.members.map((one) => ({
      memberId: one.memberId,
      ...readSubscription(one.metadata),
    }))
    const topics = new Set(subscriptions.flatMap((one) => one.topics))
    this.watch(topics)
    await this.#metadata.refresh()
    const counts = new Map([...topics].map((topic) => [topic, this.#count(topic) ?? 0]))
    this.#counts = counts
    const shares = [...assignPartitions(subscriptions, counts)]
    const all = [...counts.values()].reduce((sum, count) => sum + count, 0)
    const shared = shares.reduce((sum, [, partitions]) => sum + partitions.length, 0)
    const isCertain = !joined.skipAssignment && shared === all
    this.#withheldUntil = isCertain ? Infinity : performance.now() + WITHHELD
    if (joined.skipAssignment) return []
    return shares.map(([memberId, partitions]) => ({
      memberId,
      assignment: writeAssignment(partitions),
    }))
  }

  /** Another member leads, and shares out. */
  follow(): [] {
    this.#counts = undefined
    this.#withheldUntil = Infinity
    return []
  }

  /** Why the partitions have to be shared out anew, if so; asks for metadata now and then to learn it. */
  changed(now: number): string | undefined {
    if (this.#counts === undefined) return undefined
    if (now >= this.#withheldUntil) return 'partitions that were to move may be nobody’s'
    for (const [topic, count] of this.#counts) {
      if ((this.#count(topic) ?? count) !== count) return `topic ${topic} has other partitions now`
    }
    if (now - this.#lookAt >= LOOK_EVERY) {
      this.#lookAt = now
      this.#metadata.refresh().catch(() => undefined)
    }
    return undefined
  }

  close(): void {
    for (const stop of this.#watches.values()) stop()
    this.#watches.clear()
    this.#counts = undefined
  }

  /** How many partitions a topic has; `undefined` while that is not certain. */
  #count(topic: string): number | undefined {
    const state = this.#metadata.topic(topic)
    if (state === undefined) return undefined
    if (state.missing) return 0
    return state.partitions.length === 0 ? undefined : state.partitions.length
  }
}
