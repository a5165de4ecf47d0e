import type { TopicPartition } from './transport.ts'

/** A partition as a key of maps, and in messages: `orders/3`. */
export function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}
