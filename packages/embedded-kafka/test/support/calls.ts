import type { RawClient } from './raw-client.ts'

export interface ProduceResult {
  readonly error: number
  readonly baseOffset: number
  readonly appendTime: number
  readonly logStartOffset: number
  readonly message: string | null
}

export interface Sent {
  readonly topic: string
  readonly partition?: number
  readonly records: Buffer | null
  readonly acks?: number
  readonly version?: number
}

/** Produces one batch and answers with what the broker said of its partition. */
export async function produce(client: RawClient, sent: Sent): Promise<ProduceResult> {
  const version = sent.version ?? 9
  const reader = await client.request(produceRequest(sent))
  let result: ProduceResult | undefined
  reader.array((topic) => {
    topic.string()
    topic.array((partition) => {
      partition.int32()
      const error = partition.int16()
      const baseOffset = partition.int64()
      const appendTime = partition.int64()
      const logStartOffset = version >= 5 ? partition.int64() : -1
      if (version >= 8) partition.array((one) => one.int32())
      const message = version >= 8 ? partition.nullableString() : null
      partition.tags()
      result = { error, baseOffset, appendTime, logStartOffset, message }
    })
    topic.tags()
  })
  if (result === undefined) throw new Error('the answer names no partition')
  return result
}

/** Produce's request for one batch, for those that want no answer. */
export function produceRequest(sent: Sent): Parameters<RawClient['request']>[0] {
  const version = sent.version ?? 9
  return {
    key: 0,
    version,
    flexible: version >= 9,
    body: (writer) => {
      writer.nullableString(null)
      writer.int16(sent.acks ?? -1)
      writer.int32(1000)
      writer.array([sent], ({ topic, partition, records }) => {
        writer.string(topic)
        writer.array([partition ?? 0], (index) => {
          writer.int32(index)
          writer.nullableBytes(records)
          writer.tags()
        })
        writer.tags()
      })
      writer.tags()
    },
  }
}

export interface FetchedPartition {
  readonly topic: string
  readonly index: number
  readonly error: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
  readonly aborted: number | null
  readonly records: Buffer | null
}

export interface FetchSpec {
  readonly topic: string
  readonly offset?: number
  readonly partition?: number
  readonly partitions?: readonly number[]
  readonly version?: number
  readonly maxWaitMs?: number
  readonly minBytes?: number
  readonly maxBytes?: number
  readonly partitionMaxBytes?: number
  readonly isolation?: number
  readonly leaderEpoch?: number
  readonly sessionId?: number
  readonly sessionEpoch?: number
  /** The topic's id, which versions from 13 on name it by. */
  readonly topicId?: string
}

export interface Fetched {
  readonly error: number
  readonly sessionId: number
  readonly partitions: readonly FetchedPartition[]
}

/** Fetches partitions of one topic, all from the same offset. */
export async function fetch(client: RawClient, spec: FetchSpec): Promise<Fetched> {
  const version = spec.version ?? 12
  const reader = await client.request(fetchRequest(spec))
  reader.int32()
  const error = version >= 7 ? reader.int16() : 0
  const sessionId = version >= 7 ? reader.int32() : 0
  const partitions: FetchedPartition[] = []
  reader.array((topic) => {
    const name = version >= 13 ? topic.uuid() : topic.string()
    topic.array((partition) => {
      const index = partition.int32()
      const partitionError = partition.int16()
      const highWatermark = partition.int64()
      const lastStableOffset = partition.int64()
      const logStartOffset = version >= 5 ? partition.int64() : -1
      const aborted = partition.nullableArray(() => 0)?.length ?? null
      if (version >= 11) partition.int32()
      const records = partition.nullableBytes()
      partition.tags()
      partitions.push({
        topic: name,
        index,
        error: partitionError,
        highWatermark,
        lastStableOffset,
        logStartOffset,
        aborted,
        records,
      })
    })
    topic.tags()
  })
  return { error, sessionId, partitions }
}

export function fetchRequest(spec: FetchSpec): Parameters<RawClient['request']>[0] {
  const version = spec.version ?? 12
  return {
    key: 1,
    version,
    flexible: version >= 12,
    body: (writer) => {
      if (version < 15) writer.int32(-1)
      writer.int32(spec.maxWaitMs ?? 0)
      writer.int32(spec.minBytes ?? 1)
      writer.int32(spec.maxBytes ?? 1_000_000)
      writer.int8(spec.isolation ?? 0)
      if (version >= 7) {
        writer.int32(spec.sessionId ?? 0)
        writer.int32(spec.sessionEpoch ?? -1)
      }
      writer.array([spec], ({ topic, topicId = '' }) => {
        if (version >= 13) writer.uuid(topicId)
        else writer.string(topic)
        writer.array(spec.partitions ?? [spec.partition ?? 0], (index) => {
          writer.int32(index)
          if (version >= 9) writer.int32(spec.leaderEpoch ?? -1)
          writer.int64(spec.offset ?? 0)
          if (version >= 12) writer.int32(-1)
          if (version >= 5) writer.int64(-1)
          writer.int32(spec.partitionMaxBytes ?? 1_000_000)
          writer.tags()
        })
        writer.tags()
      })
      if (version >= 7) writer.array([], () => {})
      if (version >= 11) writer.string('')
      writer.tags()
    },
  }
}

/** Base offsets of the batches that a fetch brought. */
export function baseOffsets(records: Buffer | null): number[] {
  const offsets: number[] = []
  let rest = records ?? Buffer.alloc(0)
  while (rest.length > 0) {
    offsets.push(Number(rest.readBigInt64BE(0)))
    rest = rest.subarray(rest.readInt32BE(8) + 12)
  }
  return offsets
}
