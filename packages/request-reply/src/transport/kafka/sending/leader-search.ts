/**
 * The way to leaders that are not known: topics and leaders are looked up until nothing is left that waits for them.
 *
 *   waits for its topic, or for a leader ──metadata──▶ placed
 *              ▲                            ├── refused, missing: fails
 *              └──── not yet, or nobody ────┘
 *                    answered: a pause
 */
import { TransportError, type ErrorDetails } from '../../../errors.ts'
import { deny } from '../cluster/denials.ts'
import { refusal } from '../cluster/kafka-errors.ts'
import { Pauses, type PauseOptions } from '../waiting/pauses.ts'
import { kafka } from '../protocol/error-codes.ts'
import type { PartitionQueue } from './partition-queue.ts'
import { partitionMissing } from './send-errors.ts'
import type { Layout, TopicQueues } from './topic-queues.ts'

/** Milliseconds. */
const PAUSES: PauseOptions = { first: 20, longest: 250 }

/** As in `SenderCluster`. */
export interface RefreshedLayout extends Layout {
  refresh(): Promise<void>
}

export class LeaderSearch {
  readonly #cluster: RefreshedLayout
  readonly #topics: ReadonlyMap<string, TopicQueues>
  readonly #deliveryTimeout: number
  readonly #place: (queue: PartitionQueue) => void
  /** They have work, and their leader has to be found first. */
  readonly #stuck = new Set<PartitionQueue>()
  readonly #abort = new AbortController()
  #looking = false

  /** @param place hands a queue to its leader, which is known */
  constructor(
    cluster: RefreshedLayout,
    topics: ReadonlyMap<string, TopicQueues>,
    deliveryTimeout: number,
    place: (queue: PartitionQueue) => void,
  ) {
    this.#cluster = cluster
    this.#topics = topics
    this.#deliveryTimeout = deliveryTimeout
    this.#place = place
  }

  /** Whether it waits for its leader to be looked up. */
  has(queue: PartitionQueue): boolean {
    return this.#stuck.has(queue)
  }

  /** Its leader is to be looked up, by the next `look`. */
  add(queue: PartitionQueue): void {
    this.#stuck.add(queue)
  }

  /** Queues wait for it. */
  get isOpen(): boolean {
    return this.#stuck.size > 0
  }

  /** Nothing waits any more. */
  clear(): void {
    this.#stuck.clear()
  }

  /** Nothing is looked up any more. */
  close(): void {
    this.#abort.abort()
  }

  /** Sets a queue aside until its leader has been looked up, or rejects its records if that cannot help. */
  setBack(queue: PartitionQueue, problem: unknown): void {
    queue.noteProblem(problem)
    this.#stuck.delete(queue)
    if (isFinal(problem)) queue.fail(finalError(queue.topic, problem))
    else if (queue.hasWork) this.#stuck.add(queue)
  }

  /** Looks up topics and leaders until nothing is left that waits for them. One loop, however many call. */
  look(): void {
    if (this.#abort.signal.aborted || this.#looking || !this.#isNeeded()) return
    this.#looking = true
    void this.#lookAll().finally(() => {
      this.#looking = false
      // Something may have come between the loop's last look and now.
      this.look()
    })
  }

  #isNeeded(): boolean {
    return this.#stuck.size > 0 || [...this.#topics.values()].some((topic) => topic.hasUnrouted)
  }

  async #lookAll(): Promise<void> {
    const pauses = new Pauses(PAUSES)
    for (let round = 0; !this.#abort.signal.aborted && this.#isNeeded(); round++) {
      // Metadata spaces its requests by itself; a cluster in trouble is asked more slowly.
      if (round > 0) await pauses.wait(this.#abort.signal)
      const asked = performance.now()
      try {
        await this.#cluster.refresh()
      } catch (error) {
        this.#nobodyAnswered(error)
        continue
      }
      for (const topic of this.#topics.values()) this.#judgeUnrouted(topic, asked)
      const stuck = [...this.#stuck]
      for (const queue of stuck) this.#judgeStuck(queue)
    }
  }

  #nobodyAnswered(problem: unknown): void {
    const stuck = [...this.#stuck]
    for (const queue of stuck) this.setBack(queue, problem)
    if (!isFinal(problem)) return
    for (const topic of this.#topics.values()) topic.rejectUnrouted(() => finalError(topic.name, problem)({}))
  }

  /** After an answer that was asked for at `asked`; whatever it made routable has been routed. */
  #judgeUnrouted(topic: TopicQueues, asked: number): void {
    const verdict = this.#verdict(topic.name)
    if (verdict !== undefined) topic.rejectUnrouted(() => verdict({}))
    const { count } = topic
    if (count === 0) return
    const now = performance.now()
    topic.rejectUnrouted((pending) => {
      // The topic may have grown: only answers that are younger than the record count.
      const counts = pending.deadline - this.#deliveryTimeout <= asked
      return counts && deny(pending, now)
        ? partitionMissing(topic.name, pending.record.partition ?? 0, count)
        : undefined
    })
  }

  #judgeStuck(queue: PartitionQueue): void {
    const count = this.#cluster.topic(queue.topic)?.partitions.length ?? 0
    const denied = count > 0 && queue.partition >= count
    if (!denied) queue.denials = undefined
    const verdict =
      this.#verdict(queue.topic) ??
      (denied && deny(queue, performance.now())
        ? (details: ErrorDetails) => partitionMissing(queue.topic, queue.partition, count, details)
        : undefined)
    if (verdict !== undefined) queue.fail(verdict)
    if (!queue.hasWork) this.#stuck.delete(queue)
    else if (this.#cluster.leader(queue.topic, queue.partition) !== undefined) {
      this.#stuck.delete(queue)
      this.#place(queue)
    } else queue.noteProblem(new Error('the partition has no leader'))
  }

  /** The error that settles whatever goes to this topic; `undefined` while there is hope. */
  #verdict(name: string): ((details: ErrorDetails) => TransportError) | undefined {
    const state = this.#cluster.topic(name)
    if (state === undefined) return undefined
    if (state.missing)
      return (details) => refusal(kafka.unknownTopicOrPartition, `send to topic ${name}`, details)
    const final = state.errorCode === kafka.topicAuthorizationFailed || state.errorCode === kafka.invalidTopic
    if (final) return (details) => refusal(state.errorCode, `send to topic ${name}`, details)
    return undefined
  }
}

/** An error that trying again until the deadline would not mend. */
function isFinal(problem: unknown): problem is TransportError {
  return (
    problem instanceof TransportError &&
    (problem.code === 'MILENA_AUTHENTICATION_FAILED' ||
      problem.code === 'MILENA_NOT_AUTHORIZED' ||
      (problem.code === 'MILENA_BROKER_ERROR' && !problem.retryable))
  )
}

function finalError(topic: string, problem: TransportError): (details: ErrorDetails) => TransportError {
  return (details) =>
    new TransportError(problem.code, `send to topic ${topic}: ${problem.message}`, {
      ...details,
      cause: problem,
    })
}
