/**
 * The transport port: everything that requester, replier and routing ask of a broker.
 *
 * Two adapters implement it, `kafka/` (Apache Kafka and every broker that speaks its protocol) and `memory/`
 * (unit tests and simulation); both pass `test/transport-contract.ts`.
 *
 * Errors are `TransportError`s (see `errors.ts`); each says whether the record was sent.
 */
import type { RawHeader } from '../wire/headers.ts'
import type { RecordPosition, TopicPartition } from '../wire/position.ts'

export type { RecordPosition, TopicPartition }

/** A record to send. Its buffers are not copied: they must stay as they are until the send has settled. */
export interface OutgoingRecord {
  readonly topic: string
  /** Without one: murmur2 of the key modulo the number of partitions, as Java's default partitioner does; with a null key, spread evenly. */
  readonly partition?: number | undefined
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RawHeader[]
}

/** A record that was read. Its buffers may share memory with their neighbours: copy what is kept for long. */
export interface IncomingRecord extends RecordPosition {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RawHeader[]
  /** Milliseconds since the Unix epoch, as the producer or the broker set it. */
  readonly timestamp: number
  /** Bytes of key, value and headers. */
  readonly size: number
}

/** Where reading begins when nothing else says so. */
export type StartPosition = 'earliest' | 'latest'

export interface TailOptions {
  readonly topic: string
  /** Which partitions; `all` also takes in those that are added later, from their first record. */
  readonly partitions: readonly number[] | 'all'
  readonly from: StartPosition
  /** Records of one partition, in order, each once. Must not throw. */
  onRecords(records: readonly IncomingRecord[]): void
  /**
   * Something that stops (part of) the reading until it is mended, such as a deleted topic or a missing right.
   * The tail keeps trying; ordinary failover is not reported. Told once until it has recovered.
   */
  onError?(error: Error): void
}

/** Reads partitions without a consumer group. When `Transport.tail` resolves it is already at its position. */
export interface Tail extends AsyncDisposable {
  /** Resolves when nothing runs any more; no record is handed over after it was called. */
  close(): Promise<void>
}

export interface GroupOptions {
  readonly groupId: string
  readonly topics: readonly string[]
  /** Where to begin in a partition for which the group has committed nothing. */
  readonly from: StartPosition
  /** Static membership (KIP-345): a restart under the same id within the session timeout moves no partition. */
  readonly groupInstanceId?: string | undefined
  /** Milliseconds without a heartbeat after which the group gives a member's partitions to others; default 10 000. */
  readonly sessionTimeout?: number | undefined
  /** Milliseconds between heartbeats; default 1 000. */
  readonly heartbeatInterval?: number | undefined
  /** Milliseconds that the members have to join in a rebalance; default 15 000. */
  readonly rebalanceTimeout?: number | undefined
  /** These partitions are now read by this member. Called before their first records. */
  onAssigned?(partitions: readonly TopicPartition[]): void
  /** Records of one partition, in order. Must not throw. */
  onRecords(records: readonly IncomingRecord[]): void
  /**
   * These partitions are about to go to somebody else: no more of their records come. Finish or give up what is in
   * hand and `commit`; the partitions are let go when the promise settles, at the latest after the drain timeout.
   */
  onRevoked(partitions: readonly TopicPartition[]): Promise<void>
  /** Milliseconds that `onRevoked` may take; default 10 000. */
  readonly drainTimeout?: number | undefined
  /** These partitions were already lost to somebody else: what is in hand may be done twice, nothing can be committed. */
  onLost(partitions: readonly TopicPartition[]): void
  /** As `TailOptions.onError`. */
  onError?(error: Error): void
}

/** A member of a consumer group. */
export interface GroupMembership extends AsyncDisposable {
  /**
   * Commits, per partition, the offset of the next record to read. Fenced by the generation in which the partition
   * was assigned: a commit of a partition that is no longer held is refused, never applied over another member's.
   */
  commit(offsets: readonly RecordPosition[]): Promise<void>
  /** Fetches no more of this partition until `resume`; others go on. Records already on their way may still come. */
  pause(partition: TopicPartition): void
  resume(partition: TopicPartition): void
  /** Revokes everything (with `onRevoked`), leaves the group and stops. A static member keeps its place. */
  close(): Promise<void>
}

export interface TopicDescription {
  readonly name: string
  /** How many partitions it has, numbered from 0. */
  readonly partitions: number
}

export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  /** Default: the broker's. */
  readonly replicationFactor?: number | undefined
  /** Topic configuration by its Kafka name, such as `retention.ms`. */
  readonly configs?: Readonly<Record<string, string>> | undefined
}

/** A committed offset with its metadata, the free text of at most 4 096 bytes that Kafka keeps beside it. */
export interface OffsetNote extends RecordPosition {
  readonly metadata: string
}

export interface Transport extends AsyncDisposable {
  /**
   * Sends one record; resolves when all in-sync replicas have it. Records of one partition stand in the order in
   * which they were given. Rejects with a `TransportError` whose `sent` is `no` or `unknown`.
   */
  send(record: OutgoingRecord): Promise<RecordPosition>
  tail(options: TailOptions): Promise<Tail>
  join(options: GroupOptions): Promise<GroupMembership>
  /** The topics that exist, among those named or of all. A missing one is left out, never created. */
  describeTopics(names?: readonly string[]): Promise<ReadonlyMap<string, TopicDescription>>
  /** Creates topics and waits until every partition has a leader. One that exists already is left as it is. */
  createTopics(topics: readonly TopicSpec[]): Promise<void>
  /** Deletes topics; a missing one is no error. */
  deleteTopics(names: readonly string[]): Promise<void>
  /** What a group without members has committed, with its metadata. */
  readNotes(groupId: string, topics: readonly string[]): Promise<readonly OffsetNote[]>
  /** Commits to a group without members. */
  writeNotes(groupId: string, notes: readonly OffsetNote[]): Promise<void>
  /** Closes every tail, membership and connection; records not yet sent are rejected. Resolves when nothing runs any more. */
  close(): Promise<void>
}
