/**
 * Fetch (key 1), versions 12 to 17: by topic name in 12, by topic id from 13 on (KIP-516). The replica that asks, with us
 * none, stands at the front up to 14 (KIP-903).
 *
 * Records are left in the answer's memory, and batches undecoded: one partition's error takes nothing of the others.
 */
import type { AbortedTransaction } from '../batches/aborted-transactions.ts'
import type { Api } from '../protocol/api.ts'
import type { Reader } from '../protocol/reader.ts'
import type { Writer } from '../protocol/writer.ts'

const BY_ID_FROM = 13
const WITHOUT_REPLICA_FROM = 15
const CLIENT = -1
const READ_COMMITTED = 1
/** The first record ends the wait. */
const LEAST_BYTES = 1
/** No fetch session (KIP-227): each request says all it wants, and two at once cannot get out of step. */
const NO_SESSION = 0
const NO_EPOCH = -1
/** Which only replicas have. */
const NO_START = -1
/** The tag of `diverging_epoch` in a partition of an answer. */
const DIVERGING = 0

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

export interface FetchRequest {
  readonly targets: readonly FetchTarget[]
  readonly limits: FetchLimits
}

export const fetchApi: Api<FetchRequest, FetchAnswer> = {
  name: 'Fetch',
  key: 1,
  versions: { oldest: 12, newest: 17 },
  flexibleFrom: 12,
  throttledFrom: 1,
  write(to, { targets, limits }, version) {
    if (version < WITHOUT_REPLICA_FROM) to.int32(CLIENT)
    to.int32(limits.wait).int32(LEAST_BYTES).int32(limits.maxBytes).int8(READ_COMMITTED)
    to.int32(NO_SESSION).int32(NO_EPOCH)
    to.array(byTopic(targets), (writer, theirs) => {
      if (version < BY_ID_FROM) writer.text(theirs[0].topic)
      else writer.uuid(theirs[0].topicId)
      writer.array(theirs, (one, target) => writeTarget(one, target, limits)).tags()
    })
    to.array([], () => undefined) // nothing is forgotten: there is no session
    to.text('').tags() // no rack
  },
  read(from, version) {
    const byId = version >= BY_ID_FROM
    const errorCode = from.int16()
    from.int32() // session
    const partitions: FetchedPartition[] = []
    from.array((reader) => {
      const topic = byId ? reader.uuid() : reader.text()
      reader.array(() => partitions.push(readPartition(reader, topic)))
      reader.tags()
    })
    from.tags()
    return { errorCode, byId, partitions }
  },
}

/** For topics without an id. */
export const fetchByNameApi: Api<FetchRequest, FetchAnswer> = {
  ...fetchApi,
  versions: { oldest: 12, newest: BY_ID_FROM - 1 },
}

function writeTarget(to: Writer, target: FetchTarget, { partitionMaxBytes }: FetchLimits): void {
  to.int32(target.partition).int32(target.epoch).int64(target.position)
  to.int32(target.lastEpoch).int64(NO_START).int32(partitionMaxBytes).tags()
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

function readPartition(from: Reader, topic: string): FetchedPartition {
  const partition = from.int32()
  const errorCode = from.int16()
  const highWatermark = from.int64()
  const lastStable = from.int64()
  from.int64() // the start of the log
  const aborted = from.array(readAborted)
  from.int32() // preferred replica: we ask the leader
  const records = from.nullableBlob()
  let diverging: DivergingTerm | undefined
  from.tags((tag) => {
    if (tag === DIVERGING) diverging = { epoch: from.int32(), endOffset: from.int64() }
  })
  return {
    topic,
    partition,
    errorCode,
    highWatermark,
    lastStable,
    aborted: aborted.length === 0 ? undefined : aborted,
    records: records === null || records.length === 0 ? undefined : records,
    diverging,
  }
}

function readAborted(from: Reader): AbortedTransaction {
  const aborted = { producerId: from.bigint64(), firstOffset: from.int64() }
  from.tags()
  return aborted
}
