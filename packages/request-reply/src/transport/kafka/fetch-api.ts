/**
 * The Fetch API, versions 12 to 17: by topic name in 12, by topic id from 13 on (KIP-516).
 *
 * Requests are encoded by the client. Answers are parsed here, straight from their bytes: the client's parser decodes
 * every record as well, and throws away the whole answer when one partition has an error.
 */
import { fetchV12, fetchV13, fetchV14, fetchV15, fetchV16, fetchV17, type Reader } from '@platformatic/kafka'
import type { Link } from './connections.ts'
import { readLong, type AbortedTransaction } from './record-batches.ts'
import type { ApiVersionTable } from './versions.ts'

const FETCH = 1
const BY_ID = 13
const READ_COMMITTED = 1
/** No fetch session (KIP-227): each request says all it wants, and two at once cannot get out of step. */
const NO_SESSION = 0
const NO_EPOCH = -1

/** One partition of a fetch. */
export interface FetchTarget {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** The leader's term: a broker that is not, or no longer, the leader of this term refuses (KIP-320). */
  readonly epoch: number
  readonly position: number
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
  /** Name or id, as `FetchAnswer.byId` says. */
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly aborted: readonly AbortedTransaction[] | undefined
  /** Record batches; `undefined` when there are none. */
  readonly records: Buffer | undefined
}

export interface FetchAnswer {
  readonly errorCode: number
  readonly byId: boolean
  readonly partitions: readonly FetchedPartition[]
}

type Encode = typeof fetchV17.createRequest
const fetchApi: ApiVersionTable<Encode> = {
  name: 'Fetch',
  key: FETCH,
  versions: {
    12: fetchV12.createRequest,
    13: fetchV13.createRequest,
    14: fetchV14.createRequest,
    15: fetchV15.createRequest,
    16: fetchV16.createRequest,
    17: fetchV17.createRequest,
  },
}

/** Fetches; `done` is called once, without a promise in between. */
export function sendFetch(
  link: Link,
  targets: readonly FetchTarget[],
  limits: FetchLimits,
  done: (error: Error | null, answer?: FetchAnswer) => void,
): void {
  const { version, api: encode } = link.pick(fetchApi)
  const byId = version >= BY_ID
  link.connection.send(
    FETCH,
    version,
    () =>
      encode(
        limits.wait,
        1,
        limits.maxBytes,
        READ_COMMITTED,
        NO_SESSION,
        NO_EPOCH,
        topicsOf(targets, byId, limits.partitionMaxBytes),
        [],
        '',
      ),
    (_correlation, _key, _version, reader) => parseAnswer(reader, byId),
    true,
    true,
    done,
  )
}

/** How an answer names a target's topic. */
export function topicKey(id: string): string {
  return id.replaceAll('-', '')
}

function topicsOf(
  targets: readonly FetchTarget[],
  byId: boolean,
  partitionMaxBytes: number,
): Parameters<Encode>[6] {
  const topics: Parameters<Encode>[6] = []
  let last: string | undefined
  for (const target of targets) {
    const name = byId ? target.topicId : target.topic
    if (name !== last) topics.push({ topicId: (last = name), partitions: [] })
    topics.at(-1)!.partitions.push({
      partition: target.partition,
      currentLeaderEpoch: target.epoch,
      fetchOffset: BigInt(target.position),
      lastFetchedEpoch: -1,
      partitionMaxBytes,
    })
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
      cursor.at += 24 // high watermark, last stable offset, log start
      const aborted = cursor.aborted()
      cursor.at += 4 // preferred replica: we ask the leader
      partitions.push({ topic, partition, errorCode: code, aborted, records: cursor.bytes() })
      cursor.skipTags()
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
    return this.#data.toString('hex', this.at - 16, this.at)
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

  skipTags(): void {
    for (let tags = this.unsigned(); tags > 0; tags--) {
      this.unsigned()
      this.at += this.unsigned()
    }
  }
}
