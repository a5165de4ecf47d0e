/**
 * The Fetch API, versions 12 to 17: by topic name in 12, by topic id from 13 on (KIP-516).
 *
 * Requests are written and answers parsed here, straight into and from their bytes. The client's encoder makes a Buffer
 * of every field, and is on the way of each reply that comes alone; its parser decodes every record as well, and throws
 * away the whole answer when one partition has an error.
 */
import { Writer, type Reader } from '@platformatic/kafka'
import type { Link } from '../cluster/connections.ts'
import { readLong, readUuid, writeLong, writeUnsigned } from '../protocol/primitive-types.ts'
import type { AbortedTransaction } from '../batches/aborted-transactions.ts'
import type { ApiVersionTable } from '../cluster/versions.ts'

const FETCH = 1
const READ_COMMITTED = 1
/** No fetch session (KIP-227): each request says all it wants, and two at once cannot get out of step. */
const NO_SESSION = 0
const NO_EPOCH = -1
/** The tag of `diverging_epoch` in an answer's partition. */
const DIVERGING = 0

/** What a topic has for an id in a cluster that is being upgraded from before Apache Kafka 2.8: it can only be named. */
export const NO_TOPIC_ID = '00000000-0000-0000-0000-000000000000'

/** One partition of a fetch. */
export interface FetchTarget {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** The leader's term: a broker that is not, or no longer, the leader of this term refuses (KIP-320). */
  readonly epoch: number
  readonly position: number
  /** The term of the batch that was read last, so that the leader can say whether its log has it (KIP-320); −1: unknown. */
  readonly lastEpoch: number
}

export interface FetchLimits {
  /** Milliseconds that the broker waits for the first record. */
  readonly wait: number
  /** Most bytes in the answer; one batch that is larger comes all the same. */
  readonly maxBytes: number
  /** Most bytes of one partition. */
  readonly partitionMaxBytes: number
}

export interface FetchedPartition {
  /** Its name or its id, as `FetchAnswer.byId` says. */
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** The first offset that not all in-sync replicas are known to have. */
  readonly highWatermark: number
  /** The first offset of a transaction that is still open, or the high watermark: what is read ends before it. */
  readonly lastStable: number
  readonly aborted: readonly AbortedTransaction[] | undefined
  /** Record batches; `undefined` when there are none. */
  readonly records: Buffer | undefined
  /** The leader's log does not have what was read last; there are no records then. */
  readonly diverging?: DivergingTerm | undefined
}

/** The last term that the leader's log has of those up to the one that was read last, and the first offset behind it. */
export interface DivergingTerm {
  readonly epoch: number
  readonly endOffset: number
}

export interface FetchAnswer {
  readonly errorCode: number
  readonly byId: boolean
  readonly partitions: readonly FetchedPartition[]
}

/** In which the versions differ. */
interface Form {
  /** Topics by their ids. */
  readonly byId: boolean
  /** The request begins with the replica that asks: with us, none. */
  readonly replica: boolean
}

const fetchApi: ApiVersionTable<Form> = {
  name: 'Fetch',
  key: FETCH,
  versions: {
    12: { byId: false, replica: true },
    13: { byId: true, replica: true },
    14: { byId: true, replica: true },
    15: { byId: true, replica: false },
    16: { byId: true, replica: false },
    17: { byId: true, replica: false },
  },
}

/** For topics without an id. */
const fetchByName: ApiVersionTable<Form> = { ...fetchApi, versions: { 12: fetchApi.versions[12]! } }

/** Fetches; `done` is called once, without a promise in between. */
export function sendFetch(
  link: Link,
  targets: readonly FetchTarget[],
  limits: FetchLimits,
  done: (error: Error | null, answer?: FetchAnswer) => void,
): void {
  const named = targets.some(({ topicId }) => topicId === NO_TOPIC_ID)
  const { version, api: form } = link.pick(named ? fetchByName : fetchApi)
  link.connection.send(
    FETCH,
    version,
    () => Writer.create().append(encodeRequest(targets, limits, form)),
    (_correlation, _key, _version, reader) => parseAnswer(reader, form.byId),
    true,
    true,
    done,
  )
}

/** Bytes of what stands before the topics, of a partition, and of a topic without its name, at most. */
const HEAD = 4 + 21 + 5
const PARTITION = 33
const TOPIC = 16 + 5 + 1
const TAIL = 3

/**
 * Fetch request 12–17 => [replica_id] max_wait_ms min_bytes max_bytes isolation_level session_id session_epoch [topic]
 *                        [forgotten_topic] rack_id TAG_BUFFER
 *   topic => name or id, [partition] TAG_BUFFER
 *     partition => index current_leader_epoch fetch_offset last_fetched_epoch log_start_offset partition_max_bytes TAG_BUFFER
 */
function encodeRequest(
  targets: readonly FetchTarget[],
  { wait, maxBytes, partitionMaxBytes }: FetchLimits,
  { byId, replica }: Form,
): Buffer {
  const topics = byTopic(targets)
  let most = HEAD + targets.length * PARTITION + TAIL
  for (const [{ topic }] of topics) most += TOPIC + 5 + topic.length * 3
  const buffer = Buffer.allocUnsafe(most)
  let at = replica ? buffer.writeInt32BE(-1, 0) : 0
  at = buffer.writeInt32BE(wait, at)
  at = buffer.writeInt32BE(1, at) // least bytes: the first record ends the wait
  at = buffer.writeInt32BE(maxBytes, at)
  at = buffer.writeInt8(READ_COMMITTED, at)
  at = buffer.writeInt32BE(NO_SESSION, at)
  at = buffer.writeInt32BE(NO_EPOCH, at)
  at = writeUnsigned(buffer, at, topics.length + 1)
  for (const partitions of topics) {
    const { topic, topicId } = partitions[0]
    if (byId) at += buffer.write(topicId.replaceAll('-', ''), at, 'hex')
    else {
      at = writeUnsigned(buffer, at, Buffer.byteLength(topic) + 1)
      at += buffer.write(topic, at)
    }
    at = writeUnsigned(buffer, at, partitions.length + 1)
    for (const { partition, epoch, position, lastEpoch } of partitions) {
      at = buffer.writeInt32BE(partition, at)
      at = buffer.writeInt32BE(epoch, at)
      at = writeLong(buffer, at, position)
      at = buffer.writeInt32BE(lastEpoch, at)
      at = writeLong(buffer, at, -1) // the start of the log, which only replicas have
      at = buffer.writeInt32BE(partitionMaxBytes, at)
      buffer[at++] = 0
    }
    buffer[at++] = 0
  }
  buffer[at++] = 1 // nothing is forgotten: an empty array
  buffer[at++] = 1 // no rack: an empty string
  buffer[at++] = 0
  return buffer.subarray(0, at)
}

/** Partitions of a topic stand together in a fetch's targets, but for where its turn begins. */
function byTopic(targets: readonly FetchTarget[]): [FetchTarget, ...FetchTarget[]][] {
  const topics: [FetchTarget, ...FetchTarget[]][] = []
  for (const target of targets) {
    const last = topics.at(-1)
    if (last?.[0].topic === target.topic && last[0].topicId === target.topicId) last.push(target)
    else topics.push([target])
  }
  return topics
}

/**
 * Fetch answer 12–17 => throttle_time_ms error_code session_id [topic] TAG_BUFFER
 *   topic => name or id, [partition] TAG_BUFFER
 *     partition => index error_code high_watermark last_stable_offset log_start_offset [producer_id first_offset]
 *                  preferred_read_replica records TAG_BUFFER
 */
function parseAnswer(reader: Reader, byId: boolean): FetchAnswer {
  const cursor = new AnswerCursor(reader.buffer.slice(reader.position))
  cursor.at += 4 // throttle time: the broker has already waited
  const errorCode = cursor.int16()
  cursor.at += 4 // session
  const partitions: FetchedPartition[] = []
  for (let topics = cursor.count(); topics > 0; topics--) {
    const topic = byId ? cursor.uuid() : cursor.text()
    for (let left = cursor.count(); left > 0; left--) {
      const partition = cursor.int32()
      const code = cursor.int16()
      const highWatermark = cursor.int64()
      const lastStable = cursor.int64()
      cursor.at += 8 // the start of the log
      const aborted = cursor.aborted()
      cursor.at += 4 // preferred replica: we ask the leader
      const records = cursor.bytes()
      const diverging = cursor.diverging()
      partitions.push({
        topic,
        partition,
        errorCode: code,
        highWatermark,
        lastStable,
        aborted,
        records,
        diverging,
      })
    }
    cursor.skipTags()
  }
  return { errorCode, byId, partitions }
}

/** Reads the compact encodings of KIP-482 from one stretch of memory. */
class AnswerCursor {
  at = 0
  readonly #data: Buffer

  constructor(data: Buffer) {
    this.#data = data
  }

  int16(): number {
    this.at += 2
    return this.#data.readInt16BE(this.at - 2)
  }

  int32(): number {
    this.at += 4
    return this.#data.readInt32BE(this.at - 4)
  }

  int64(): number {
    this.at += 8
    return readLong(this.#data, this.at - 8)
  }

  unsigned(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#data.readUInt8(this.at++)
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    throw new Error('the answer to a fetch cannot be read: a number is too long')
  }

  /** A compact array's length; none and null are both 0. */
  count(): number {
    const raw = this.unsigned()
    return raw === 0 ? 0 : raw - 1
  }

  text(): string {
    const end = this.count() + this.at
    const text = this.#data.toString('utf8', this.at, end)
    this.at = end
    return text
  }

  uuid(): string {
    this.at += 16
    return readUuid(this.#data, this.at - 16)
  }

  bytes(): Buffer | undefined {
    const length = this.count()
    if (length === 0) return undefined
    const end = this.at + length
    if (end > this.#data.length) throw new Error('the answer to a fetch cannot be read: it is cut off')
    const bytes = this.#data.subarray(this.at, end)
    this.at = end
    return bytes
  }

  aborted(): AbortedTransaction[] | undefined {
    let left = this.count()
    if (left === 0) return undefined
    const list: AbortedTransaction[] = []
    for (; left > 0; left--) {
      list.push({
        producerId: this.#data.readBigInt64BE(this.at),
        firstOffset: readLong(this.#data, this.at + 8),
      })
      this.at += 16
      this.skipTags()
    }
    return list
  }

  /** The tagged fields of a partition, of which only the first, the diverging term, is for those who read. */
  diverging(): DivergingTerm | undefined {
    let found: DivergingTerm | undefined
    for (let tags = this.unsigned(); tags > 0; tags--) {
      const tag = this.unsigned()
      const end = this.unsigned() + this.at
      if (tag === DIVERGING) found = { epoch: this.int32(), endOffset: this.int64() }
      this.at = end
    }
    return found
  }

  skipTags(): void {
    for (let tags = this.unsigned(); tags > 0; tags--) {
      this.unsigned()
      this.at += this.unsigned()
    }
  }
}
