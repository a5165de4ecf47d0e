import type { Bytes } from './budget.ts'
import type { CommittedOffset, OffsetToCommit, TopicPartition } from './types.ts'

// What one offset takes beside its metadata, and one topic beside its name.
const flatBytes = 128

interface KeptOffset extends CommittedOffset {
  /** Ms since the epoch. */
  readonly committedAt: number
}

/**
 * The committed offsets of one group.
 *
 * Offsets that a transaction commits (TxnOffsetCommit, not offered yet) belong beside these, by producer id,
 * until the transaction's end moves them here or drops them; until then `get` would tell a fetch that asks
 * for stable offsets that one is unstable.
 */
export class CommittedOffsets {
  readonly #budget: Bytes
  readonly #topics = new Map<string, Map<number, KeptOffset>>()

  constructor(budget: Bytes) {
    this.#budget = budget
  }

  get isEmpty(): boolean {
    return this.#topics.size === 0
  }

  get(topic: string, partition: number): KeptOffset | undefined {
    return this.#topics.get(topic)?.get(partition)
  }

  /** False when there is no memory left for it. `now` in ms since the epoch. */
  set(commit: OffsetToCommit, now: number): boolean {
    const { topic, partition, offset, leaderEpoch, metadata } = commit
    const known = this.#topics.get(topic)
    const replaced = known?.get(partition)
    const bytes = (known ? 0 : topicBytes(topic)) + 2 * metadata.length + (replaced ? 0 : flatBytes)
    if (!this.#budget.take(bytes - 2 * (replaced?.metadata.length ?? 0))) return false
    const partitions = known ?? new Map<number, KeptOffset>()
    if (!known) this.#topics.set(topic, partitions)
    partitions.set(partition, { offset, leaderEpoch, metadata, committedAt: now })
    return true
  }

  delete(topic: string, partition: number): void {
    const partitions = this.#topics.get(topic)
    const offset = partitions?.get(partition)
    if (!partitions || !offset) return
    partitions.delete(partition)
    this.#budget.give(2 * offset.metadata.length + flatBytes)
    if (partitions.size > 0) return
    this.#topics.delete(topic)
    this.#budget.give(topicBytes(topic))
  }

  deleteTopic(topic: string): void {
    for (const partition of this.#topics.get(topic)?.keys() ?? []) this.delete(topic, partition)
  }

  clear(): void {
    for (const topic of this.#topics.keys()) this.deleteTopic(topic)
  }

  /** All partitions that have a committed offset. */
  partitions(): TopicPartition[] {
    return [...this.#topics].flatMap(([topic, partitions]) =>
      [...partitions.keys()].map((partition) => ({ topic, partition })),
    )
  }
}

function topicBytes(topic: string): number {
  return 2 * topic.length + flatBytes
}
