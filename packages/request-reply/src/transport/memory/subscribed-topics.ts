/** The topics of a group's member: as they were when it came, and whether they are there. */
import type { TopicPartition } from '../transport.ts'
import type { Troubles } from '../troubles.ts'
import type { ClusterState } from './cluster-state.ts'
import type { TopicLog } from './log.ts'
import { topicMissing } from './refusals.ts'

export class SubscribedTopics {
  readonly #cluster: ClusterState
  readonly #names: readonly string[]
  readonly #first = new Map<string, { readonly topic: TopicLog; readonly partitions: number }>()

  constructor(cluster: ClusterState, names: readonly string[]) {
    this.#cluster = cluster
    this.#names = names
  }

  /** @throws TransportError `MILENA_TOPIC_MISSING` */
  begin(): void {
    const missing = this.#names.find((name) => !this.#cluster.topics.has(name))
    if (missing !== undefined) throw topicMissing(missing)
    for (const name of this.#names) {
      const topic = this.#cluster.topics.get(name)!
      this.#first.set(name, { topic, partitions: topic.partitions.length })
    }
  }

  /** Whether it was added since the member came: nobody could have read it before. */
  hasGrown({ topic, partition }: TopicPartition): boolean {
    const first = this.#first.get(topic)
    return first?.topic !== this.#cluster.topics.get(topic) || partition >= first!.partitions
  }

  /** One that is missing is a trouble, whoever held its partitions. */
  look(troubles: Troubles): void {
    for (const topic of this.#names) {
      const cause = `topic ${topic}`
      if (this.#cluster.topics.has(topic)) troubles.end(cause)
      else {
        const since = this.#cluster.clock.now()
        troubles.begin(cause, { kind: 'topic-missing', topic, since, error: topicMissing(topic) })
      }
    }
  }
}
