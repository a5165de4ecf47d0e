/**
 * The layout of the cluster: which broker leads which partition of the topics that somebody here watches.
 *
 * Answers are asked for one at a time, at most every 50 ms, never from the broker that just failed while another is
 * left: a hung broker accepts connections and says nothing. Errors stay with their topic or partition.
 *
 * Whoever finds a leader wrong or gone calls `refresh()` and looks again; between two answers nothing is waited for.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { TransportError } from '../../../errors.ts'
import type { BrokerAddress, BrokerConnection } from './connection.ts'
import { addressOf, type BrokerPool, type Connections } from './connections.ts'
import { unreachable } from './kafka-errors.ts'
import { errorName, kafka } from '../protocol/error-codes.ts'
import { parseAddress } from '../options.ts'
import { metadataApi, type MetadataAnswer, type TopicMetadata } from '../protocol/metadata.ts'
import { NO_TOPIC_ID } from '../protocol/primitive-types.ts'

/** Milliseconds between the beginnings of two requests for metadata. */
const MIN_INTERVAL = 50
/** Milliseconds for which a broker that failed is asked last. */
const SUSPICION = 15_000
/** A topic is held to be missing when as many answers, over as many milliseconds, have said so: a broker may lag behind. */
const MISSING_ANSWERS = 3
const MISSING_AFTER = 300

/** A broker as the cluster advertises it. */
export interface BrokerNode extends BrokerAddress {
  readonly id: number
}

export interface PartitionState {
  readonly partition: number
  /** The leader's broker id; −1 when there is none now. */
  readonly leader: number
  /** The leader's term (KIP-320): to be sent along as `currentLeaderEpoch` of a fetch, so that a former leader refuses. */
  readonly epoch: number
}

export interface TopicState {
  readonly name: string
  /** Changes when the topic was deleted and created again. */
  readonly id: string
  /** By partition number, 0 to n − 1. */
  readonly partitions: readonly PartitionState[]
  /** Kafka's error code for the topic as a whole; 0 when it is usable. */
  readonly errorCode: number
  /** Enough answers over enough time say that it does not exist. Until then a missing topic may only be new. */
  readonly missing: boolean
  /** Since when (performance.now()) answers say that it does not exist, and how many did. */
  readonly absent: { readonly since: number; readonly answers: number } | undefined
}

/** A partition's leader, with the term to send along. */
export interface Leader {
  readonly node: BrokerNode
  readonly epoch: number
}

export class Metadata {
  readonly #pool: BrokerPool
  readonly #seeds: readonly BrokerAddress[]
  readonly #maxAge: number
  readonly #watched = new Map<string, number>()
  readonly #listeners = new Set<() => void>()
  readonly #suspects = new Map<string, number>()
  readonly #abort = new AbortController()
  #nodes: ReadonlyMap<number, BrokerNode> = new Map()
  #topics = new Map<string, TopicState>()
  #controller = -1
  #turn = 0
  #startedAt = -Infinity
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #ageTimer: NodeJS.Timeout | undefined

  constructor(connections: Connections) {
    this.#pool = connections.open(Math.min(connections.options.requestTimeout, 2_000))
    this.#seeds = connections.options.brokers.map((broker) => parseAddress(broker)!)
    this.#maxAge = connections.options.metadataMaxAge
  }

  /** Brokers by id, as of the last answer. */
  get nodes(): ReadonlyMap<number, BrokerNode> {
    return this.#nodes
  }

  /** The broker that takes changes to topics (in KRaft, any broker that forwards them); `undefined` when unknown. */
  get controller(): BrokerNode | undefined {
    return this.#nodes.get(this.#controller)
  }

  /** Includes a topic in every answer from now on, until the returned function is called. Does not ask by itself. */
  watch(topic: string): () => void {
    this.#watched.set(topic, (this.#watched.get(topic) ?? 0) + 1)
    let watching = true
    return () => {
      if (!watching) return
      watching = false
      const count = this.#watched.get(topic)! - 1
      if (count > 0) this.#watched.set(topic, count)
      else {
        this.#watched.delete(topic)
        this.#topics.delete(topic)
      }
    }
  }

  /** What the last answer said of a watched topic; `undefined` before the first. */
  topic(name: string): TopicState | undefined {
    return this.#topics.get(name)
  }

  /** Who leads a partition; `undefined` when nobody does or it is not known: `refresh()` and look again. */
  leader(topic: string, partition: number): Leader | undefined {
    const state = this.#topics.get(topic)?.partitions[partition]
    const node = state === undefined ? undefined : this.#nodes.get(state.leader)
    return node === undefined ? undefined : { node, epoch: state!.epoch }
  }

  /** Calls `listener` after each answer has been taken in. It must not throw. Returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** This broker just failed to answer, or broke a connection: ask others first. */
  blame(broker: BrokerAddress): void {
    this.#suspects.set(addressOf(broker), performance.now())
  }

  /** This broker has answered. */
  absolve(broker: BrokerAddress): void {
    if (this.#suspects.size > 0) this.#suspects.delete(addressOf(broker))
  }

  /**
   * Asks for the watched topics, in a request that begins after this call; callers share it. Resolves when the answer
   * has been taken in, whatever it says of single topics. Every broker is tried once; rejects with
   * `MILENA_BROKER_UNREACHABLE` when none answered, `MILENA_AUTHENTICATION_FAILED` when none can, `MILENA_CLOSED`.
   */
  refresh(): Promise<void> {
    return (this.#next ??= this.#schedule())
  }

  async #schedule(): Promise<void> {
    // Callers that come while a request is under way must not get its answer, which may be older than their question:
    // they wait for the next one, all together.
    await this.#running?.catch(() => undefined)
    const wait = MIN_INTERVAL - (performance.now() - this.#startedAt)
    if (wait > 0) await sleep(wait, undefined, { signal: this.#abort.signal }).catch(() => undefined)
    this.#next = undefined
    this.#startedAt = performance.now()
    this.#running = this.#update()
    await this.#running
  }

  async #update(): Promise<void> {
    const names = [...this.#watched.keys()]
    const answer = await this.#ask(names)
    this.#nodes = new Map(answer.brokers.map((one) => [one.id, one]))
    this.#controller = answer.controller
    for (const topic of answer.topics) {
      if (topic.name && this.#watched.has(topic.name))
        this.#topics.set(topic.name, this.#merge(topic.name, topic))
    }
    this.#armAgeTimer()
    for (const listener of this.#listeners) listener()
  }

  #merge(name: string, told: TopicMetadata): TopicState {
    const before = this.#topics.get(name)
    const absent =
      told.errorCode === kafka.unknownTopicOrPartition
        ? { since: before?.absent?.since ?? performance.now(), answers: (before?.absent?.answers ?? 0) + 1 }
        : undefined
    const missing =
      absent !== undefined &&
      absent.answers >= MISSING_ANSWERS &&
      performance.now() - absent.since >= MISSING_AFTER
    // One broker may not know (yet, or any more) a topic that others serve: what was known holds until it is certain.
    if (absent !== undefined && !missing && before !== undefined)
      return { ...before, errorCode: told.errorCode, absent }
    const partitions: PartitionState[] = []
    for (const one of told.partitions) {
      const known = before?.id === told.id ? before.partitions[one.partition] : undefined
      // A broker that lags behind still names the former leader: the higher term is the later one.
      partitions[one.partition] = known !== undefined && known.epoch > one.epoch ? known : one
    }
    // Nor does it know those that were added: a topic does not lose any before it is made anew, under another id.
    if (before?.id === told.id && told.id !== NO_TOPIC_ID && partitions.length > 0)
      partitions.push(...before.partitions.slice(partitions.length))
    return { name, id: told.id, partitions, errorCode: told.errorCode, missing, absent }
  }

  /** Asks once, outside of what is watched: these topics, or all that exist. Nothing is created by asking. */
  async describe(topics: readonly string[] | undefined): Promise<readonly TopicMetadata[]> {
    return (await this.#ask(topics)).topics
  }

  /** Asks one broker, which need not know yet what others know. */
  async describeAt(node: BrokerNode, topics: readonly string[]): Promise<readonly TopicMetadata[]> {
    return (await ask(await this.#pool.get(node), topics)).topics
  }

  /** A connection to a broker that answers, for requests that any broker takes. Rejects as `refresh`. */
  async anyConnection(): Promise<BrokerConnection> {
    return this.#try(async (connection) => connection)
  }

  async #ask(topics: readonly string[] | undefined): Promise<MetadataAnswer> {
    return this.#try((connection) => ask(connection, topics))
  }

  async #try<Result>(act: (connection: BrokerConnection) => Promise<Result>): Promise<Result> {
    const failures: unknown[] = []
    for (const broker of this.#candidates()) {
      if (this.#abort.signal.aborted) break
      try {
        const result = await act(await this.#pool.get(broker))
        this.absolve(broker)
        return result
      } catch (error) {
        this.blame(broker)
        failures.push(error)
      }
    }
    if (this.#abort.signal.aborted) throw new TransportError('MILENA_CLOSED', 'the transport is closed')
    // Refused credentials are the same at every broker, but one that is down must not hide them, nor they a version gap.
    const certain = failures.find((error) => error instanceof TransportError)
    if (certain !== undefined) throw certain
    throw unreachable(this.#known().map(addressOf), 'a request for metadata', failures.at(-1))
  }

  #known(): BrokerAddress[] {
    const known = new Map<string, BrokerAddress>()
    for (const one of [...this.#nodes.values(), ...this.#seeds]) known.set(addressOf(one), one)
    return [...known.values()]
  }

  /** In turn, so that one that lags behind or hangs is not asked each time; those that failed of late come last. */
  #candidates(): BrokerAddress[] {
    const known = this.#known()
    const turn = this.#turn++ % known.length
    const failedAt = (one: BrokerAddress): number => {
      const at = this.#suspects.get(addressOf(one))
      return at === undefined || performance.now() - at > SUSPICION ? 0 : at
    }
    return [...known.slice(turn), ...known.slice(0, turn)].toSorted((a, b) => failedAt(a) - failedAt(b))
  }

  #armAgeTimer(): void {
    clearTimeout(this.#ageTimer)
    if (this.#abort.signal.aborted) return
    this.#ageTimer = setTimeout(() => {
      this.refresh().catch(() => this.#armAgeTimer())
    }, this.#maxAge)
    this.#ageTimer.unref()
  }

  /** Ends what is under way; resolves when nothing runs any more. */
  async close(): Promise<void> {
    this.#abort.abort()
    clearTimeout(this.#ageTimer)
    this.#listeners.clear()
    await this.#pool.close()
    await Promise.allSettled([this.#running, this.#next])
  }
}

async function ask(
  connection: BrokerConnection,
  topics: readonly string[] | undefined,
): Promise<MetadataAnswer> {
  const answer = await connection.ask(metadataApi, { topics })
  if (answer.errorCode !== kafka.none) throw new Error(`it refused with ${errorName(answer.errorCode)}`)
  return answer
}
