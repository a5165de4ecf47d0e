/**
 * The transport port: everything that requester, replier and routing ask of a broker.
 *
 * Two adapters implement it, `kafka/` (Apache Kafka and every broker that speaks its protocol) and `memory/`
 * (unit tests and simulation); both pass `testing/transport-contract.ts`.
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
  /** Present where the broker has set it, on a topic whose `message.timestamp.type` is this. */
  readonly timestampType?: 'LogAppendTime' | undefined
  /** Bytes of key, value and headers. */
  readonly size: number
}

/** Where reading begins when nothing else says so. */
export type StartPosition = 'earliest' | 'latest'

/** What a lasting trouble is about. */
export type TroubleKind =
  /** A topic is not there (any more). */
  | 'topic-missing'
  /** A partition is not there. */
  | 'partition-missing'
  /** The brokers refuse this user a right, or its login. */
  | 'not-authorized'
  /** No broker has answered for 2 s. It may pass: nothing is refused for it, what is sent waits. */
  | 'away'
  /** No broker has answered for so long that no election explains it, or none can be reached where it says that it is. */
  | 'unreachable'
  /** What stands in the log cannot be read. */
  | 'unreadable'
  /** Somebody else's transaction is open and keeps what stands behind it from being read. */
  | 'transaction-open'
  /** The group has gone on without this member, or another process has its name. */
  | 'not-a-member'
  /** The transport was closed: this trouble does not end. */
  | 'closed'
  /** Another refusal of the brokers; `error` says which. */
  | 'refused'

/** Something that stops (part of) the reading and lasts: a state with a beginning, and an end when it is over. */
export interface Trouble {
  readonly kind: TroubleKind
  readonly topic?: string | undefined
  readonly partition?: number | undefined
  /** Since when, in milliseconds since the Unix epoch. */
  readonly since: number
  readonly error: Error
}

/**
 * A stretch of a log that cannot be handed over: damaged, or larger than what may become of it in memory (`reason`
 * says). Reading goes on behind it; whoever reads decides what that means, and can see that it was there.
 */
export interface UnreadableRange extends RecordPosition {
  /** The first offset behind it. */
  readonly next: number
  /** As they stand in the log. */
  readonly bytes: number
  readonly reason: string
}

/** What a reader, with a group or without, is told. None of these may throw. */
export interface ReadingListener {
  /**
   * Records of one partition, in order, each once.
   *
   * @param appendedAfter A time, in `Clock.monotonic` milliseconds, at which these records were certainly not
   * acknowledged yet, since all that was had been read; `undefined` while a backlog is read. (A record may have stood with
   * the leader alone before that, for as long as its replicas took.)
   */
  onRecords(records: readonly IncomingRecord[], appendedAfter?: number): void
  /** A stretch that is passed over; in order with `onRecords`. Without it, it is only an error that is told. */
  onUnreadable?(range: UnreadableRange): void
  /** The list of lasting troubles has changed; empty when all is well. Ordinary failover is not one. */
  onTrouble?(troubles: readonly Trouble[]): void
  /**
   * Something that stops (part of) the reading until it is mended, such as a deleted topic or a missing right.
   * The reader keeps trying; ordinary failover is not reported. Told once until it has recovered.
   */
  onError?(error: Error): void
}

export interface TailOptions extends ReadingListener {
  readonly topic: string
  /** Which partitions; `all` also takes in those that are added later, from their first record. */
  readonly partitions: readonly number[] | 'all'
  /**
   * Where to begin. As positions: at these offsets, and `latest` in partitions that are not named. An offset that is no
   * longer there begins at the earliest that is, one beyond the end at the end; both are told (`onError`).
   */
  readonly from: StartPosition | readonly RecordPosition[]
}

/** Reads partitions without a consumer group. When `Transport.tail` resolves it is already at its position. */
export interface Tail extends AsyncDisposable {
  /** For each partition, the offset of the next record that will be handed over. */
  positions(): readonly RecordPosition[]
  /** The troubles that last now; as `onTrouble` was told. */
  troubles(): readonly Trouble[]
  /**
   * Resolves when everything that stood in these partitions at the time of the call was handed over. Waits as long as
   * that takes, a trouble included; resolves when the tail is closed.
   */
  caughtUp(): Promise<void>
  /** Resolves when nothing runs any more; no record is handed over after it was called. */
  close(): Promise<void>
}

/** Why a member has lost a partition. */
export type LossReason =
  /** Somebody else has it, or may have it: what is in hand may be done twice. */
  | 'taken'
  /**
   * What was read is not in the log any more: the topic was deleted (and made anew), or the log was cut by an unclean
   * election or a restored backup. Offsets name other records from now on, and what was in hand does not come again.
   */
  | 'log-gone'

export interface GroupOptions extends ReadingListener {
  readonly groupId: string
  readonly topics: readonly string[]
  /**
   * Where to begin in a partition for which the group has committed nothing. One that is added to its topic while the
   * member is there begins with its first record: nobody could have read it before.
   */
  readonly from: StartPosition
  /** Static membership (KIP-345): a restart under the same id within the session timeout moves no partition. */
  readonly groupInstanceId?: string | undefined
  /**
   * Milliseconds without a heartbeat after which the group gives a member's partitions to others, and after which it lets
   * go of them by itself; default 15 000.
   */
  readonly sessionTimeout?: number | undefined
  /** Milliseconds between heartbeats; default 1 000. */
  readonly heartbeatInterval?: number | undefined
  /** Milliseconds that the members have to join in a rebalance; default 15 000. */
  readonly rebalanceTimeout?: number | undefined
  /** These partitions are now read by this member. Called before their first records. */
  onAssigned?(partitions: readonly TopicPartition[]): void
  /**
   * What the group has committed for a partition that was assigned, and where its reading begins: after `onAssigned`,
   * before its first records. Not called where nothing was committed.
   */
  onCommitted?(committed: CommittedOffset): void
  /**
   * The joining takes long, since the group waits for its other members: one has not let go of what it has, or has died
   * without leaving, and its session must end first. Told once, after so many milliseconds, and only before `join`
   * resolves; that brokers cannot be reached is not told by it. `sessionTimeout` is this member's, in milliseconds; the
   * other's may be another.
   */
  onWaiting?(waiting: { readonly waited: number; readonly sessionTimeout: number }): void
  /**
   * Ends the joining, at any step: the member, if there is one by then, leaves the group at once, a static one too, and
   * nobody waits for its session; `join` rejects with `MILENA_CLOSED` once it has left. Does nothing after the joining.
   */
  readonly signal?: AbortSignal | undefined
  /**
   * These partitions are about to go to somebody else. Finish or give up what is in hand and `commit`; the partitions
   * are let go when the promise settles, at the latest after the drain timeout. Until then their records keep coming,
   * so that one slow record does not hold up all others; `pause` a partition to have no more of them.
   */
  onRevoked(partitions: readonly TopicPartition[]): Promise<void>
  /** Milliseconds that `onRevoked` may take; default 10 000. */
  readonly drainTimeout?: number | undefined
  /**
   * These partitions are lost already, without `onRevoked`: nothing of what was handed over can be committed any more. Where
   * the member keeps a partition whose log is gone, `onAssigned` follows, as for one that it did not have before.
   */
  onLost(partitions: readonly TopicPartition[], why?: LossReason): void
}

/** A member of a consumer group. */
export interface GroupMembership extends AsyncDisposable {
  /**
   * Commits, per partition, the offset of the next record to read. Fenced by the generation in which the partition
   * was assigned: a commit of a partition that is no longer held is refused, never applied over another member's. So is
   * one that was left over from an earlier time that the partition was held: before it is known where reading begins, of
   * less than the group had committed by then, or of a log that is gone.
   * More metadata than the brokers take (Apache Kafka's `offset.metadata.max.bytes`) is refused with
   * `MILENA_BROKER_ERROR`, not retryable; nothing is committed for that partition then.
   */
  commit(offsets: readonly OffsetToCommit[]): Promise<void>
  /** Fetches no more of this partition until `resume`; others go on. Records already on their way may still come. */
  pause(partition: TopicPartition): void
  resume(partition: TopicPartition): void
  /** The troubles that last now; as `onTrouble` was told. */
  troubles(): readonly Trouble[]
  /**
   * How many records stand in the partitions that are held and were not handed over yet, as the brokers said with their
   * last answers: of a paused partition, as it was when it was paused. A transport that cannot say leaves it out.
   */
  unread?(): number
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

/**
 * A committed offset with its metadata, the free text that Kafka keeps beside it: at most 4 096 characters
 * (`offset.metadata.max.bytes`, which despite its name counts characters).
 */
export interface CommittedOffset extends RecordPosition {
  readonly metadata: string
}

export interface OffsetToCommit extends RecordPosition {
  /** As in `CommittedOffset`; default none. */
  readonly metadata?: string | undefined
}

export interface Transport extends AsyncDisposable {
  /**
   * Sends one record; resolves when all in-sync replicas have it. Records of one partition stand in the order in
   * which they were given. Rejects with a `TransportError` whose `sent` is `no` or `unknown`; what else it rejects with
   * (a wrapper's error) says nothing, and counts as `unknown`.
   */
  send(record: OutgoingRecord): Promise<RecordPosition>
  /**
   * Takes a record back that was given to `send` and is not on the wire yet. True: it is certainly not in the log and
   * never will be, nothing of it is held any more, and its `send` rejects with `MILENA_NOT_SENT`. False: it is on its
   * way, may be in the log, or has settled; `send` says what becomes of it. Synchronous, so that whoever gives a request
   * its outcome knows at that moment whether it was sent. The record is known by its identity: one that is sent again
   * while it waits must be another object.
   */
  withdraw(record: OutgoingRecord): boolean
  /**
   * What `send` was given and has not let go of: how many records, and what they take in memory, with the batches that
   * they were written into. A record whose `send` has settled counts for as long as something here still holds it.
   */
  sending(): { readonly records: number; readonly bytes: number }
  tail(options: TailOptions): Promise<Tail>
  /**
   * Joins a group; resolves when the partitions of the first assignment, which may be none, are at their positions: what
   * is appended from then on is read. A partition whose leader does not answer keeps it no longer than 2 s; with
   * `from: 'latest'` no longer than 20 s, since what comes before its end is known would never be read. Records come
   * after it has resolved, not before.
   */
  join(options: GroupOptions): Promise<GroupMembership>
  /** The topics that exist, among those named or of all. A missing one is left out, never created. */
  describeTopics(names?: readonly string[]): Promise<ReadonlyMap<string, TopicDescription>>
  /** Creates topics and waits until every partition has a leader. One that exists already is left as it is. */
  createTopics(topics: readonly TopicSpec[]): Promise<void>
  /** Deletes topics; a missing one is no error. */
  deleteTopics(names: readonly string[]): Promise<void>
  /** What a group without members has committed, with its metadata. */
  readCommittedOffsets(groupId: string, topics: readonly string[]): Promise<readonly CommittedOffset[]>
  /** Commits to a group without members. */
  writeCommittedOffsets(groupId: string, offsets: readonly CommittedOffset[]): Promise<void>
  /** Closes every tail, membership and connection; records not yet sent are rejected. Resolves when nothing runs any more. */
  close(): Promise<void>
}
