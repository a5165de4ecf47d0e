/**
 * The Produce request (API key 0, versions 9 to 11, which have one form) and its answer:
 *
 *     transactional_id acks timeout_ms [topic: name [partition: index records TAGS] TAGS] TAGS
 *
 * `acks` is always −1: an answer means that all in-sync replicas have the records.
 */
import { Writer, produceV10, produceV11, produceV9 } from '@platformatic/kafka'
import type { Link } from '../cluster/connections.ts'
import { orAnswer } from '../cluster/kafka-errors.ts'
import { writeUnsigned } from '../protocol/primitive-types.ts'
import type { ApiVersionTable } from '../cluster/versions.ts'

export const produceApi: ApiVersionTable<typeof produceV9> = {
  name: 'Produce',
  key: 0,
  versions: { 9: produceV9, 10: produceV10, 11: produceV11 },
}

/** An encoded batch on its way to its partition. */
export interface PartitionBatch {
  readonly topic: string
  readonly partition: number
  readonly bytes: Buffer
}

/** What the leader said of one batch. */
export interface PartitionResult {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** Offset of the batch's first record when `errorCode` is 0. */
  readonly baseOffset: number
  /** Indexes of the records that are to blame, where the broker tells (KIP-467). */
  readonly guilty: readonly number[]
  readonly message: string | undefined
}

/**
 * Sends batches, at most one of each partition, to the broker that leads them. Rejects when no answer came: whether
 * the batches were appended is then unknown. `timeout`: milliseconds that the broker may wait for the in-sync replicas.
 */
export async function produce(
  link: Link,
  batches: readonly PartitionBatch[],
  timeout: number,
): Promise<PartitionResult[]> {
  const { version, api } = link.pick(produceApi)
  const answer = await orAnswer(
    new Promise<ReturnType<typeof produceV9.parseResponse>>((resolve, reject) => {
      link.connection.send(
        produceApi.key,
        version,
        () => encodeRequest(batches, timeout),
        api.parseResponse,
        true,
        true,
        (error, payload) => (error === null ? resolve(payload!) : reject(error)),
      )
    }),
  )
  const results: PartitionResult[] = []
  for (const topic of answer.responses) {
    for (const one of topic.partitionResponses) {
      results.push({
        topic: topic.name,
        partition: one.index,
        errorCode: one.errorCode,
        baseOffset: Number(one.baseOffset),
        guilty: one.recordErrors.map((record) => record.batchIndex),
        message: one.recordErrors[0]?.batchIndexErrorMessage ?? one.errorMessage ?? undefined,
      })
    }
  }
  return results
}

/** In pieces, which the client puts together with its own: batches are copied once. */
function encodeRequest(batches: readonly PartitionBatch[], timeout: number): Writer {
  const topics = Map.groupBy(batches, (batch) => batch.topic)
  const head = Buffer.allocUnsafe(12)
  head[0] = 0 // no transactional id
  head.writeInt16BE(-1, 1)
  head.writeInt32BE(timeout, 3)
  const writer = Writer.create().append(head.subarray(0, writeUnsigned(head, 7, topics.size + 1)))
  for (const [topic, partitions] of topics) {
    const name = Buffer.from(topic)
    const start = Buffer.allocUnsafe(10 + name.length)
    let at = writeUnsigned(start, 0, name.length + 1)
    start.set(name, at)
    at = writeUnsigned(start, at + name.length, partitions.length + 1)
    writer.append(start.subarray(0, at))
    for (const { partition, bytes } of partitions) {
      const index = Buffer.allocUnsafe(9)
      index.writeInt32BE(partition, 0)
      writer.append(index.subarray(0, writeUnsigned(index, 4, bytes.length + 1)))
      writer.append(bytes).append(NO_TAGS)
    }
    writer.append(NO_TAGS)
  }
  return writer.append(NO_TAGS)
}

const NO_TAGS = Buffer.of(0)
