/**
 * The layout of the cluster: which broker leads which partition of the topics that somebody here watches.
 *
 * Answers are asked for one at a time: at most every 50 ms while they bring news, and less and less often while they
 * bring none, or nobody answers. Errors stay with their topic or partition.
 *
 * Whoever finds a leader wrong or gone calls `refresh()` and looks again; between two answers nothing is waited for.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { TransportError } from '../../../errors.ts'
import { AdvertisedAddresses } from './advertised.ts'
import { AnyBroker, type Ask, type AskOptions } from './any-broker.ts'
import { Pauses } from '../waiting/pauses.ts'
import { BrokersAway } from './brokers-away.ts'
import type { BrokerAddress, BrokerConnection } from '../connection/connection.ts'
import { addressOf, type BrokerPool, type Connections } from '../connection/connections.ts'
import { parseAddress } from '../options.ts'
import { errorName, kafka } from '../protocol/error-codes.ts'
import { metadataApi, type MetadataAnswer, type TopicMetadata } from '../protocol/metadata.ts'
import { hasNews, mergeTopic, type TopicState } from './topic-state.ts'

export type { PartitionState, TopicState } from './topic-state.ts'

/** Milliseconds between the beginnings of two requests for metadata: the least, and the most while nothing changes. */
const MIN_INTERVAL = 50
const MAX_INTERVAL = 400
/** Milliseconds after which whoever asks is the first again. */
const CALM = 1_000
const WHAT = 'a request for metadata'

/** A broker as the cluster advertises it. */
export interface BrokerNode extends BrokerAddress {
  readonly id: number
}

/** What keeps everything from working. */
export interface ClusterProblem {
  /** `away`: no broker answers, which may pass. `unreachable`: not where they say that they are. */
  readonly kind: 'away' | 'unreachable'
  readonly error: TransportError
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
  readonly #problemListeners = new Set<() => void>()
  readonly #any: AnyBroker
  readonly #away: BrokersAway
  readonly #advertised: AdvertisedAddresses
  readonly #pauses = new Pauses({ first: 2 * MIN_INTERVAL, longest: MAX_INTERVAL })
  readonly #abort = new AbortController()
  #nodes: ReadonlyMap<number, BrokerNode> = new Map()
  #topics = new Map<string, TopicState>()
  #controller = -1
  /** Who answered last. */
  #answeredBy: BrokerAddress | undefined
  #startedAt = -Infinity
  #interval = MIN_INTERVAL
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #ageTimer: NodeJS.Timeout | undefined

  constructor(connections: Connections) {
    this.#pool = connections.open(Math.min(connections.options.requestTimeout, 2_000))
    this.#seeds = connections.options.brokers.map((broker) => parseAddress(broker)!)
    this.#maxAge = connections.options.metadataMaxAge
    const tell = (): void => {
      for (const listener of this.#problemListeners) listener()
    }
    this.#any = new AnyBroker(this.#pool, () => this.#known(), this.#abort.signal)
    this.#away = new BrokersAway(tell)
    this.#advertised = new AdvertisedAddresses((broker) => this.#reach(broker), tell)
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
    this.#any.blame(broker)
  }

  /** This broker has answered. */
  absolve(broker: BrokerAddress): void {
    this.#any.absolve(broker)
    this.#away.answered()
    if (this.#advertised.problem !== undefined && this.isAdvertised(broker)) this.#advertised.reached()
  }

  /** What is in the way of everything now, since a few seconds; it ends by itself. */
  get problem(): ClusterProblem | undefined {
    const unreachable = this.#advertised.problem
    if (unreachable !== undefined) return { kind: 'unreachable', error: unreachable }
    const away = this.#away.problem
    return away === undefined ? undefined : { kind: 'away', error: away }
  }

  /** For how many milliseconds no broker has answered anything; 0 while some do. */
  get silence(): number {
    return this.#away.silence
  }

  /** Calls `listener` when `problem` has changed. It must not throw. Returns how to stop. */
  onProblem(listener: () => void): () => void {
    this.#problemListeners.add(listener)
    return () => this.#problemListeners.delete(listener)
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
    const elapsed = performance.now() - this.#startedAt
    if (elapsed > CALM) this.#settleDown()
    const wait = this.#interval - elapsed
    if (wait > 0) await sleep(wait, undefined, { signal: this.#abort.signal }).catch(() => undefined)
    this.#next = undefined
    this.#startedAt = performance.now()
    this.#running = this.#update()
    await this.#running
  }

  #settleDown(): void {
    this.#pauses.reset()
    this.#interval = MIN_INTERVAL
  }

  async #update(): Promise<void> {
    const names = [...this.#watched.keys()]
    // Until an answer brings news.
    this.#interval = this.#pauses.next()
    const answer = await this.#ask(names)
    const nodes = new Map(answer.brokers.map((one) => [one.id, one]))
    let news = !sameNodes(this.#nodes, nodes)
    this.#nodes = nodes
    this.#controller = answer.controller
    const now = performance.now()
    for (const told of answer.topics) {
      if (!told.name || !this.#watched.has(told.name)) continue
      const before = this.#topics.get(told.name)
      const state = mergeTopic(told.name, before, told, now)
      news ||= hasNews(before, state)
      this.#topics.set(told.name, state)
    }
    if (news) this.#settleDown()
    this.#armAgeTimer()
    this.#doubtAddresses()
    for (const listener of this.#listeners) listener()
  }

  /** Asks once, outside of what is watched: these topics, or all that exist. Nothing is created by asking. */
  async describe(topics: readonly string[] | undefined): Promise<readonly TopicMetadata[]> {
    return (await this.#ask(topics)).topics
  }

  /** Asks one broker, which need not know yet what others know. */
  async describeAt(node: BrokerNode, topics: readonly string[]): Promise<readonly TopicMetadata[]> {
    return (await ask(await this.#pool.get(node), topics)).topics
  }

  /** Asks something that any broker can answer; as `AnyBroker.ask`. */
  askAny<Result>(what: string, act: Ask<Result>, options?: AskOptions): Promise<Result> {
    const began = performance.now()
    return this.#any.ask(what, act, options).then(
      (result) => {
        this.#away.answered()
        return result
      },
      (error: unknown) => {
        const isSilent = error instanceof TransportError && error.code === 'MILENA_BROKER_UNREACHABLE'
        if (isSilent && options?.among === undefined)
          this.#away.noneAnswered(began, this.#known().map(addressOf), error.cause)
        throw error
      },
    )
  }

  /**
   * Resolves when some broker can be reached where it says that it is; to be called after an answer.
   *
   * @throws TransportError `MILENA_BROKER_UNREACHABLE` after two seconds in which none could be, and as `refresh`
   */
  async requireReachable(): Promise<void> {
    const pauses = new Pauses({ first: MIN_INTERVAL, longest: MAX_INTERVAL })
    for (;;) {
      const verdict = await this.#tryAddresses()
      if (verdict === 'reached') return
      if (verdict !== 'doubtful') throw verdict
      await pauses.wait(this.#abort.signal)
      await this.refresh()
    }
  }

  async #tryAddresses(): ReturnType<AdvertisedAddresses['try']> {
    const by = this.#answeredBy
    if (by !== undefined && !this.isAdvertised(by)) {
      return this.#nodes.size === 0
        ? 'reached'
        : this.#advertised.try({ by, nodes: [...this.#nodes.values()] })
    }
    this.#advertised.reached()
    return 'reached'
  }

  /** When nothing was reached where it is said to be, is it only down, or is the address wrong? */
  #doubtAddresses(): void {
    const nodes = [...this.#nodes.values()]
    if (nodes.length > 0 && nodes.every((node) => this.#any.suspects(node))) void this.#tryAddresses()
  }

  async #reach(broker: BrokerAddress): Promise<void> {
    try {
      await this.#pool.get(broker)
      this.#any.absolve(broker)
    } catch (error) {
      this.#any.blame(broker)
      throw error
    }
  }

  /** Whether a broker says that it is there; a bootstrap address may be another name of one that does. */
  isAdvertised(broker: BrokerAddress): boolean {
    for (const node of this.#nodes.values())
      if (node.host === broker.host && node.port === broker.port) return true
    return false
  }

  #ask(topics: readonly string[] | undefined): Promise<MetadataAnswer> {
    return this.askAny(WHAT, async (connection) => {
      const answer = await ask(connection, topics)
      this.#answeredBy = connection.broker
      return answer
    })
  }

  #known(): BrokerAddress[] {
    const known = new Map<string, BrokerAddress>()
    for (const one of [...this.#nodes.values(), ...this.#seeds]) known.set(addressOf(one), one)
    return [...known.values()]
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
    this.#problemListeners.clear()
    await this.#pool.close()
    await Promise.allSettled([this.#running, this.#next])
  }
}

function sameNodes(before: ReadonlyMap<number, BrokerNode>, now: ReadonlyMap<number, BrokerNode>): boolean {
  if (before.size !== now.size) return false
  for (const [id, { host, port }] of now) {
    const known = before.get(id)
    if (known?.host !== host || known.port !== port) return false
  }
  return true
}

async function ask(
  connection: BrokerConnection,
  topics: readonly string[] | undefined,
): Promise<MetadataAnswer> {
  const answer = await connection.ask(metadataApi, { topics })
  if (answer.errorCode !== kafka.none) throw new Error(`it refused with ${errorName(answer.errorCode)}`)
  return answer
}
