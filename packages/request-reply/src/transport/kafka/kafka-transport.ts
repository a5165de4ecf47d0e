/** The transport port over Apache Kafka, and every broker that speaks its protocol. */
import { systemClock, within } from '../../clock.ts'
import { TransportError } from '../../errors.ts'
import type {
  GroupMembership,
  GroupOptions,
  CommittedOffset,
  OutgoingRecord,
  RecordPosition,
  Tail,
  TailOptions,
  TopicDescription,
  TopicSpec,
  Transport,
} from '../transport.ts'
import { Connections } from './connection/connections.ts'
import { joinGroup } from './group/joining.ts'
import { GroupMember } from './group/member.ts'
import { CommittedOffsets } from './group/committed-offsets.ts'
import { createTopicsApi } from './protocol/create-topics.ts'
import { deleteTopicsApi } from './protocol/delete-topics.ts'
import { initProducerIdApi } from './protocol/init-producer-id.ts'
import { listOffsetsApi } from './protocol/list-offsets.ts'
import { metadataApi } from './protocol/metadata.ts'
import { fetchApi } from './reading/fetch-api.ts'
import { produceApi } from './sending/produce.ts'
import { Metadata } from './cluster/metadata.ts'
import { requireApis, type NeededApi } from './cluster/needs.ts'
import { resolveKafkaOptions, type KafkaOptions, type ResolvedKafkaOptions } from './options.ts'
import { KafkaSenderCluster } from './sending/sender-cluster.ts'
import { Sender } from './sending/sender.ts'
import { openTail, PartitionTail } from './reading/tail.ts'
import { TopicAdmin } from './cluster/topic-admin.ts'

/** To send, to read without a group, to make and remove topics: what a transport can be asked for at once. */
const transportNeeds: readonly NeededApi[] = [
  metadataApi,
  produceApi,
  initProducerIdApi,
  fetchApi,
  listOffsetsApi,
  createTopicsApi,
  deleteTopicsApi,
]
/** Most milliseconds that `close` waits for sends on their way. */
const CLOSE_TIMEOUT = 2_000

/**
 * Connects: resolves when a broker has answered, and one can be reached where it says that it is. Each broker given is
 * tried once, for at most `connectTimeout` and twice 2 s, beside others that hang.
 *
 * @throws OptionsError with every problem of the options; TransportError `MILENA_BROKER_UNREACHABLE` when no broker
 * answered, or one did and for 2 s none could be reached at the addresses that it named (`advertised.listeners`),
 * `MILENA_AUTHENTICATION_FAILED` for a refused login or an untrusted certificate, both at once;
 * `MILENA_BROKER_ERROR` for a broker that is older than Apache Kafka 3.0.
 */
export async function openKafka(options: KafkaOptions): Promise<Transport> {
  const transport = new KafkaTransport(resolveKafkaOptions(options))
  try {
    await transport.verify()
  } catch (error) {
    await transport.close()
    throw error
  }
  return transport
}

class KafkaTransport implements Transport {
  readonly #connections: Connections
  readonly #metadata: Metadata
  readonly #sender: Sender
  readonly #topics: TopicAdmin
  readonly #offsets: CommittedOffsets
  readonly #abort = new AbortController()
  readonly #readers = new Set<Tail | GroupMembership>()
  readonly #openings = new Map<Promise<unknown>, AbortController>()
  #closing: Promise<void> | undefined

  constructor(options: ResolvedKafkaOptions) {
    this.#connections = new Connections(options)
    this.#metadata = new Metadata(this.#connections)
    this.#sender = new Sender(new KafkaSenderCluster(this.#connections, this.#metadata), {
      compression: options.compression,
      batchSize: options.batchSize,
      linger: options.linger,
      deliveryTimeout: options.deliveryTimeout,
      closeTimeout: Math.min(CLOSE_TIMEOUT, options.requestTimeout),
    })
    // A change of topics may take the broker long.
    const admin = this.#connections.open(Math.max(options.requestTimeout, 15_000))
    this.#topics = new TopicAdmin(this.#metadata, admin, this.#abort.signal)
    this.#offsets = new CommittedOffsets(this.#metadata, this.#connections.open(), this.#abort.signal)
  }

  /** Whether a broker answers, can be reached where it says that it is, and can do what it may be asked for. */
  async verify(): Promise<void> {
    await this.#metadata.refresh()
    await this.#metadata.requireReachable()
    await this.#metadata.askAny('a look at what it can do', async (connection) =>
      requireApis('connecting to Kafka', connection, transportNeeds),
    )
  }

  send(record: OutgoingRecord): Promise<RecordPosition> {
    return this.#sender.send(record)
  }

  withdraw(record: OutgoingRecord): boolean {
    return this.#sender.withdraw(record)
  }

  sending(): { readonly records: number; readonly bytes: number } {
    return this.#sender.sending()
  }

  tail(options: TailOptions): Promise<Tail> {
    return this.#open(`tail topic ${options.topic}`, (signal) =>
      openTail(this.#connections, this.#metadata, options, signal),
    )
  }

  join(options: GroupOptions): Promise<GroupMembership> {
    return this.#open(`join group ${options.groupId}`, (closing) =>
      joinGroup(this.#connections, this.#metadata, options, closing),
    )
  }

  /** `open` is told when the transport is closed before it has ended; not afterwards, when the reader is closed instead. */
  async #open<Reader extends Tail | GroupMembership>(
    what: string,
    open: (signal: AbortSignal) => Promise<Reader>,
  ): Promise<Reader> {
    this.#throwIfClosed(what)
    const abort = new AbortController()
    const opening = this.#add(what, open(abort.signal))
    this.#openings.set(opening, abort)
    try {
      return await opening
    } finally {
      this.#openings.delete(opening)
    }
  }

  async #add<Reader extends Tail | GroupMembership>(what: string, opening: Promise<Reader>): Promise<Reader> {
    let reader: Reader
    try {
      reader = await opening
    } catch (error) {
      this.#throwIfClosed(what)
      throw error
    }
    if (this.#closing !== undefined) {
      await reader.close()
      this.#throwIfClosed(what)
    }
    this.#readers.add(reader)
    return forgetWhenClosed(reader, this.#readers)
  }

  async describeTopics(names?: readonly string[]): Promise<ReadonlyMap<string, TopicDescription>> {
    this.#throwIfClosed('describe topics')
    return this.#topics.describe(names)
  }

  async createTopics(topics: readonly TopicSpec[]): Promise<void> {
    this.#throwIfClosed('create topics')
    return this.#topics.create(topics)
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    this.#throwIfClosed('delete topics')
    return this.#topics.delete(names)
  }

  async readCommittedOffsets(
    groupId: string,
    topics: readonly string[],
  ): Promise<readonly CommittedOffset[]> {
    this.#throwIfClosed('read offsets')
    return this.#offsets.read(groupId, topics)
  }

  async writeCommittedOffsets(groupId: string, offsets: readonly CommittedOffset[]): Promise<void> {
    this.#throwIfClosed('commit offsets')
    return this.#offsets.write(groupId, offsets)
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#abort.abort()
    for (const opening of this.#openings.values()) opening.abort()
    // Members drain and commit before they go, which may need the sender (their handlers reply): it goes last.
    for (const reader of this.#readers) {
      if (reader instanceof GroupMember || reader instanceof PartitionTail) reader.transportClosed()
    }
    await Promise.allSettled([
      ...[...this.#readers].map((reader) => reader.close()),
      // What they wait for themselves is closed next.
      within(systemClock, CLOSE_TIMEOUT, Promise.allSettled(this.#openings.keys())),
    ])
    await this.#sender.close()
    await this.#metadata.close()
    await this.#connections.close()
  }

  #throwIfClosed(what: string): void {
    if (this.#closing !== undefined)
      throw new TransportError('MILENA_CLOSED', `${what}: the transport is closed`)
  }
}

/** Takes a reader off the list of those to close once somebody has closed it. */
function forgetWhenClosed<Reader extends Tail | GroupMembership>(
  reader: Reader,
  readers: Set<Tail | GroupMembership>,
): Reader {
  const close = reader.close.bind(reader)
  reader.close = async () => {
    await close()
    readers.delete(reader)
  }
  return reader
}
