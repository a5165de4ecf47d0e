/** Which partitions were added to topics, or came with a topic that was made anew, since a member looked first. */
import type { TopicPartition } from '../../transport.ts'
import type { Metadata } from '../cluster/metadata.ts'

export class GrownTopics {
  readonly #metadata: Pick<Metadata, 'topic' | 'onChange'>
  readonly #topics: readonly string[]
  readonly #first = new Map<string, { readonly id: string; readonly partitions: number }>()
  readonly #stop: () => void

  constructor(metadata: Pick<Metadata, 'topic' | 'onChange'>, topics: readonly string[]) {
    this.#metadata = metadata
    this.#topics = topics
    this.#stop = metadata.onChange(() => this.#look())
    this.#look()
  }

  has({ topic, partition }: TopicPartition): boolean {
    const first = this.#first.get(topic)
    const now = this.#metadata.topic(topic)
    return (
      first !== undefined && (partition >= first.partitions || (now !== undefined && now.id !== first.id))
    )
  }

  close(): void {
    this.#stop()
  }

  #look(): void {
    for (const name of this.#topics) {
      const topic = this.#metadata.topic(name)
      if (topic === undefined || topic.partitions.length === 0 || this.#first.has(name)) continue
      this.#first.set(name, { id: topic.id, partitions: topic.partitions.length })
    }
  }
}
