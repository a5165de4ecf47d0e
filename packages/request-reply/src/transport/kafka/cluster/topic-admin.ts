/** Topics: describe, create, delete (Metadata; CreateTopics 5 to 7; DeleteTopics 4 to 6). */
import {
  createTopicsV5,
  createTopicsV6,
  createTopicsV7,
  deleteTopicsV4,
  deleteTopicsV5,
  deleteTopicsV6,
} from '@platformatic/kafka'
import { TransportError } from '../../../errors.ts'
import type { TopicDescription, TopicSpec } from '../../transport.ts'
import { Backoff, type BackoffOptions } from './backoff.ts'
import type { BrokerPool, Link } from './connections.ts'
import { isRetriable, kafka, orAnswer, refusal } from './kafka-errors.ts'
import type { Metadata } from './metadata.ts'
import type { ApiVersionTable } from './versions.ts'

const createTopicsApi: ApiVersionTable<typeof createTopicsV7.api> = {
  name: 'CreateTopics',
  key: 19,
  versions: { 5: createTopicsV5.api, 6: createTopicsV6.api, 7: createTopicsV7.api },
}
const deleteTopicsApi: ApiVersionTable<typeof deleteTopicsV6.api> = {
  name: 'DeleteTopics',
  key: 20,
  versions: { 4: deleteTopicsV4.api, 5: deleteTopicsV5.api, 6: deleteTopicsV6.api },
}
/** Milliseconds for a change to be made and known to every broker. */
const LIMIT = 20_000
const PAUSES: BackoffOptions = { first: 50, longest: 500 }
/** Milliseconds after which a change is asked for at another broker, too: made twice, it is made once. */
const CHANGE_PATIENCE = 3_000
/** Kafka's way to say: the broker's default. */
const BROKER_DEFAULT = -1

type TopicsAnswer = Awaited<ReturnType<Metadata['describe']>>

/** What a broker said of one topic. */
interface TopicVerdict {
  readonly name: string
  readonly errorCode: number
  readonly message: string | undefined
}

export class TopicAdmin {
  readonly #metadata: Metadata
  readonly #pool: BrokerPool
  readonly #signal: AbortSignal

  /** `signal` ends what is under way, with `MILENA_CLOSED`. */
  constructor(metadata: Metadata, pool: BrokerPool, signal: AbortSignal) {
    this.#metadata = metadata
    this.#pool = pool
    this.#signal = signal
  }

  /** As `Transport.describeTopics`. */
  async describe(names?: readonly string[]): Promise<ReadonlyMap<string, TopicDescription>> {
    if (names?.length === 0) return new Map()
    const found = new Map<string, TopicDescription>()
    // A topic that is new may be unknown to one broker and known to the next: all are asked before it is missing.
    for (let round = 0; ; round++) {
      for (const topic of await this.#metadata.describe(names)) {
        if (!topic.name) continue
        if (topic.errorCode === kafka.topicAuthorizationFailed || topic.errorCode === kafka.invalidTopic) {
          throw refusal(topic.errorCode, `describe topic ${topic.name}`)
        }
        const partitions = topic.partitions.length
        if (partitions > 0) found.set(topic.name, { name: topic.name, partitions })
      }
      const complete = names === undefined || names.every((name) => found.has(name))
      if (complete || round >= this.#metadata.nodes.size) return found
    }
  }

  /** As `Transport.createTopics`. */
  async create(topics: readonly TopicSpec[]): Promise<void> {
    if (topics.length === 0) return
    const requests = topics.map((spec) => ({
      name: spec.name,
      numPartitions: spec.partitions,
      replicationFactor: spec.replicationFactor ?? BROKER_DEFAULT,
      assignments: [],
      configs: Object.entries(spec.configs ?? {}).map(([name, value]) => ({ name, value })),
    }))
    const settled = new Set<number>([kafka.none, kafka.topicAlreadyExists])
    await this.#change('create', settled, async (link, names) => {
      const { api } = link.pick(createTopicsApi)
      const wanted = names === undefined ? requests : requests.filter((one) => names.has(one.name))
      const answer = await orAnswer(api.async(link.connection, wanted, LIMIT / 2, false))
      return answer.topics.map(({ name, errorCode, errorMessage }) => ({
        name,
        errorCode,
        message: errorMessage ?? undefined,
      }))
    })
    const names = topics.map((spec) => spec.name)
    const known = await this.#everywhere(names, (answer) => names.every((name) => isServed(answer, name)))
    if (known) return
    throw new TransportError(
      'MILENA_BROKER_ERROR',
      `create topics ${names.join(', ')}: created, but not every partition has a leader after ${LIMIT / 1_000} s`,
      { retryable: true },
    )
  }

  /** As `Transport.deleteTopics`; waits until no broker names them any more. */
  async delete(names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    const settled = new Set<number>([kafka.none, kafka.unknownTopicOrPartition])
    await this.#change('delete', settled, async (link, only) => {
      const { api } = link.pick(deleteTopicsApi)
      const wanted = names.filter((name) => only === undefined || only.has(name))
      const answer = await orAnswer(
        api.async(
          link.connection,
          wanted.map((name) => ({ name })),
          LIMIT / 2,
        ),
      )
      return answer.responses.map((one) => ({
        name: one.name ?? '',
        errorCode: one.errorCode,
        message: one.errorMessage ?? undefined,
      }))
    })
    await this.#everywhere(names, (answer) =>
      answer.every((topic) => topic.errorCode === kafka.unknownTopicOrPartition),
    )
  }

  /** Asks for a change until every topic's answer is settled or final; brokers that fail are passed over. */
  async #change(
    verb: string,
    settled: ReadonlySet<number>,
    ask: (link: Link, names: ReadonlySet<string> | undefined) => Promise<readonly TopicVerdict[]>,
  ): Promise<void> {
    const deadline = performance.now() + LIMIT
    const backoff = new Backoff(PAUSES)
    let open: ReadonlySet<string> | undefined
    const refused: TopicVerdict[] = []
    for (;;) {
      let problem: unknown
      try {
        const names = open
        const verdicts = await this.#metadata.askAny(
          `a request to ${verb} topics`,
          (link) => ask(link, names),
          {
            pool: this.#pool,
            // Where brokers do not forward (before KRaft).
            first: this.#metadata.controller,
            patience: CHANGE_PATIENCE,
          },
        )
        const rest = verdicts.filter((one) => !settled.has(one.errorCode))
        refused.push(...rest.filter((one) => !isPassing(one.errorCode)))
        const passing = rest.filter((one) => isPassing(one.errorCode))
        if (passing.length === 0) break
        open = new Set(passing.map((one) => one.name))
        problem = refusal(passing[0]!.errorCode, `${verb} topic ${passing[0]!.name}`)
      } catch (error) {
        this.#throwIfClosed(verb)
        if (error instanceof TransportError && !error.retryable) throw error
        problem = error
      }
      if (performance.now() > deadline) throw problem
      await this.#pause(backoff)
      // Another one may be the controller by now.
      await this.#metadata.refresh().catch(() => undefined)
    }
    const [first] = refused
    if (first === undefined) return
    const texts = refused.map((one) => one.message ?? '').filter(Boolean)
    const names = refused.map((one) => one.name).join(', ')
    throw refusal(first.errorCode, `${verb} topic ${names}`, {
      cause: texts.length === 0 ? undefined : new Error(texts.join('; ')),
    })
  }

  /** Whether every broker that can be asked agrees, in time. */
  async #everywhere(names: readonly string[], agrees: (answer: TopicsAnswer) => boolean): Promise<boolean> {
    const deadline = performance.now() + LIMIT
    const open = new Map(this.#metadata.nodes)
    if (open.size === 0) {
      await this.#metadata.refresh()
      for (const [id, node] of this.#metadata.nodes) open.set(id, node)
    }
    const backoff = new Backoff(PAUSES)
    let answers = 0
    while (open.size > 0) {
      const asked = [...open].map(async ([id, node]) => {
        try {
          if (!agrees(await this.#metadata.describeAt(node, names))) return
          answers++
        } catch {
          // Down, or on its way down: it learns of the change before it serves again.
          this.#metadata.blame(node)
        }
        open.delete(id)
      })
      await Promise.all(asked)
      this.#throwIfClosed('wait for topics')
      if (open.size === 0) break
      if (performance.now() > deadline) return false
      await this.#pause(backoff)
    }
    return answers > 0
  }

  async #pause(backoff: Backoff): Promise<void> {
    await backoff.pause(this.#signal)
    this.#throwIfClosed('topics')
  }

  #throwIfClosed(what: string): void {
    if (this.#signal.aborted) throw new TransportError('MILENA_CLOSED', `${what}: the transport is closed`)
  }
}

function isPassing(code: number): boolean {
  return code === kafka.notController || (isRetriable(code) && code !== kafka.unknownTopicOrPartition)
}

function isServed(answer: TopicsAnswer, name: string): boolean {
  const topic = answer.find((one) => one.name === name)
  return (
    topic !== undefined && topic.partitions.length > 0 && topic.partitions.every((one) => one.leaderId >= 0)
  )
}
