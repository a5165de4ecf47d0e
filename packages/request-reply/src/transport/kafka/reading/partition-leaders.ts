/** Who leads the partitions that are read, and whether their topics are still the same ones. */
import { TransportError } from '../../../errors.ts'
import type { ReadPartition } from './broker-fetcher.ts'
import { deny } from '../cluster/denials.ts'
import { refusal } from '../cluster/kafka-errors.ts'
import { kafka } from '../protocol/error-codes.ts'
import type { Metadata, TopicState } from '../cluster/metadata.ts'
import { NO_TOPIC_ID } from '../protocol/primitive-types.ts'
import type { ReadingTroubles } from './reading-troubles.ts'

export class PartitionLeaders {
  readonly #metadata: Metadata
  readonly #troubles: ReadingTroubles
  readonly #tell: (error: Error) => void
  /** Ids of topics that were deleted since; and of those that took their place, once that was told. */
  readonly #retired = new Set<string>()
  readonly #told = new Set<string>()

  constructor(metadata: Metadata, troubles: ReadingTroubles, tell: (error: Error) => void) {
    this.#metadata = metadata
    this.#troubles = troubles
    this.#tell = tell
  }

  /** Takes in what metadata says now: the leader, and whether the topic is still the same one. */
  find(one: ReadPartition): void {
    const topic = this.#metadata.topic(one.topic)
    const leader = this.#same(one, topic) ? this.#metadata.leader(one.topic, one.partition) : undefined
    // A fetch that is still with a former leader, who may hang, does not keep the partition back. Nor does one that was
    // sent in the same leader's former term: what its answer says of the log's end is not this term's.
    if (leader !== undefined && (leader.node.id !== one.leader || leader.epoch !== one.epoch)) {
      one.flight = undefined
    }
    one.leader = leader?.node.id ?? -1
    one.epoch = leader?.epoch ?? -1
  }

  #same(one: ReadPartition, topic: TopicState | undefined): topic is TopicState {
    if (topic === undefined) return false
    const what = `reading topic ${one.topic}, partition ${one.partition}`
    if (topic.missing) {
      this.#troubles.begin(one, refusal(kafka.unknownTopicOrPartition, what))
      return false
    }
    if (topic.errorCode === kafka.topicAuthorizationFailed || topic.errorCode === kafka.invalidTopic) {
      this.#troubles.begin(one, refusal(topic.errorCode, what))
      return false
    }
    // A broker that lags behind may name a topic that we know to be gone.
    if (topic.partitions.length === 0 || this.#retired.has(topic.id)) return false
    // A cluster that is being upgraded gives its topics ids: they are the same topics still.
    if (one.topicId !== topic.id && topic.id !== NO_TOPIC_ID) {
      if (one.topicId !== NO_TOPIC_ID) this.#recreated(one, topic)
      one.topicId = topic.id
    }
    if (one.partition < topic.partitions.length) {
      one.denials = undefined
      return true
    }
    if (deny(one, performance.now())) {
      const text = `${what}: the topic has only ${topic.partitions.length} partitions`
      this.#troubles.begin(one, new TransportError('MILENA_PARTITION_MISSING', text))
    }
    return false
  }

  #recreated(one: ReadPartition, topic: TopicState): void {
    this.#retired.add(one.topicId)
    one.position = 0
    one.resets++
    one.lastEpoch = -1
    one.damage = undefined
    one.certainTerm = undefined
    one.knownEnd = Infinity
    one.flight = undefined
    one.notBefore = 0
    if (one.trouble?.kind === 'topic-missing' || this.#told.has(topic.id)) return // told already
    this.#told.add(topic.id)
    const text = `reading topic ${one.topic}, partition ${one.partition}: the topic was deleted and created again`
    this.#tell(
      new TransportError(
        'MILENA_TOPIC_MISSING',
        `${text} (id ${topic.id}); reading goes on with its first record`,
      ),
    )
  }
}
