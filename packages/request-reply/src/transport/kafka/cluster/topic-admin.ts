/** Topics: describe, create, delete. */
import { TransportError } from '../../../errors.ts'
import type { TopicDescription, TopicSpec } from '../../transport.ts'
import type { BrokerConnection } from '../connection/connection.ts'
import type { BrokerPool } from '../connection/connections.ts'
import { refusal } from './kafka-errors.ts'
import { isRetriable, kafka } from '../protocol/error-codes.ts'
import type { Metadata } from './metadata.ts'
import { Pauses, type PauseOptions } from '../waiting/pauses.ts'
import { createTopicsApi, type TopicVerdict } from '../protocol/create-topics.ts'
import { deleteTopicsApi } from '../protocol/delete-topics.ts'
import type { TopicMetadata } from '../protocol/metadata.ts'

/** Milliseconds for a change to be made and known to every broker. */
const LIMIT = 20_000
const PAUSES: PauseOptions = { first: 50, longest: 500 }
/** Milliseconds after which a change is asked for at another broker, too: made twice, it is made once. */
const CHANGE_PATIENCE = 3_000
/** Kafka's way to say: the broker's default. */
const BROKER_DEFAULT = -1

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
      partitions: spec.partitions,
      replicationFactor: spec.replicationFactor ?? BROKER_DEFAULT,
      configs: Object.entries(spec.configs ?? {}),
    }))
    const settled = new Set<number>([kafka.none, kafka.topicAlreadyExists])
    await this.#change('create', settled, (connection, only) => {
      const wanted = requests.filter(({ name }) => only === undefined || only.has(name))
      return connection.ask(createTopicsApi, { topics: wanted, timeout: LIMIT / 2 })
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
    await this.#change('delete', settled, (connection, only) => {
      const wanted = names.filter((name) => only === undefined || only.has(name))
      return connection.ask(deleteTopicsApi, { names: wanted, timeout: LIMIT / 2 })
    })
    await this.#everywhere(names, (answer) =>
      answer.every((topic) => topic.errorCode === kafka.unknownTopicOrPartition),
    )
  }

  /** Asks for a change until every topic's answer is settled or final; brokers that fail are passed over. */
  async #change(
    verb: string,
    settled: ReadonlySet<number>,
    ask: (
      connection: BrokerConnection,
      names: ReadonlySet<string> | undefined,
    ) => Promise<readonly TopicVerdict[]>,
  ): Promise<void> {
    const deadline = performance.now() + LIMIT
    const pauses = new Pauses(PAUSES)
    let open: ReadonlySet<string> | undefined
    const refused: TopicVerdict[] = []
    for (;;) {
      let problem: unknown
      try {
        const only = open
        const what = `a request to ${verb} topics`
        const verdicts = await this.#metadata.askAny(what, (connection) => ask(connection, only), {
          pool: this.#pool,
          // Where brokers do not forward (before KRaft).
          first: this.#metadata.controller,
          patience: CHANGE_PATIENCE,
        })
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
      await this.#pause(pauses)
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
  async #everywhere(
    names: readonly string[],
    agrees: (answer: readonly TopicMetadata[]) => boolean,
  ): Promise<boolean> {
    const deadline = performance.now() + LIMIT
    const open = new Map(this.#metadata.nodes)
    if (open.size === 0) {
      await this.#metadata.refresh()
      for (const [id, node] of this.#metadata.nodes) open.set(id, node)
    }
    const pauses = new Pauses(PAUSES)
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
      await this.#pause(pauses)
    }
    return answers > 0
  }

  async #pause(pauses: Pauses): Promise<void> {
    await pauses.wait(this.#signal)
    this.#throwIfClosed('topics')
  }

  #throwIfClosed(what: string): void {
    if (this.#signal.aborted) throw new TransportError('MILENA_CLOSED', `${what}: the transport is closed`)
  }
}

function isPassing(code: number): boolean {
  return code === kafka.notController || (isRetriable(code) && code !== kafka.unknownTopicOrPartition)
}

function isServed(answer: readonly TopicMetadata[], name: string): boolean {
  const topic = answer.find((one) => one.name === name)
  return (
    topic !== undefined && topic.partitions.length > 0 && topic.partitions.every((one) => one.leader >= 0)
  )
}
