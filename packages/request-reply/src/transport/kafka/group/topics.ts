/** The topics that a member subscribes to: which of them are missing, or not for it. A lasting trouble each. */
import { refusal } from '../cluster/kafka-errors.ts'
import { isRetriable, kafka } from '../protocol/error-codes.ts'
import type { Troubles } from '../../troubles.ts'
import type { Metadata } from '../cluster/metadata.ts'

/** Milliseconds between two looks whether a trouble is over. */
const LOOK_EVERY = 2_000

export class GroupTopics {
  readonly #metadata: Metadata
  readonly #topics: readonly string[]
  readonly #troubles: Troubles
  readonly #stop: () => void
  readonly #troubled = new Set<string>()
  #lookAt = 0

  constructor(metadata: Metadata, topics: readonly string[], troubles: Troubles) {
    this.#metadata = metadata
    this.#topics = topics
    this.#troubles = troubles
    const unwatch = topics.map((topic) => metadata.watch(topic))
    const stopListening = metadata.onChange(() => this.#settle())
    this.#stop = () => {
      stopListening()
      for (const end of unwatch) end()
    }
  }

  /** While a topic is in trouble somebody has to ask for it: a member that reads nothing of it has no other reason to. */
  look(now: number): void {
    if (this.#troubled.size === 0 || now - this.#lookAt < LOOK_EVERY) return
    this.#lookAt = now
    this.#metadata.refresh().catch(() => undefined)
  }

  close(): void {
    this.#stop()
  }

  #settle(): void {
    for (const topic of this.#topics) {
      const state = this.#metadata.topic(topic)
      if (state === undefined) continue
      const cause = `topic ${topic}`
      const what = `reading topic ${topic}`
      const since = Date.now()
      if (state.missing) {
        const error = refusal(kafka.unknownTopicOrPartition, what)
        this.#troubles.begin(cause, { kind: 'topic-missing', topic, since, error })
      } else if (state.errorCode !== kafka.none && !isRetriable(state.errorCode)) {
        const kind = state.errorCode === kafka.topicAuthorizationFailed ? 'not-authorized' : 'refused'
        this.#troubles.begin(cause, { kind, topic, since, error: refusal(state.errorCode, what) })
      } else if (state.errorCode === kafka.none) {
        this.#troubled.delete(topic)
        this.#troubles.end(cause)
        continue
      } else continue
      this.#troubled.add(topic)
    }
  }
}
