import type { TopicPartition } from './types.ts'

/** The partitions of each topic together, as the protocol's responses have them. */
export function byTopic<T extends TopicPartition>(
  partitions: readonly T[],
): { topic: string; partitions: T[] }[] {
  return [...Map.groupBy(partitions, ({ topic }) => topic)].map(([topic, of]) => ({ topic, partitions: of }))
}
