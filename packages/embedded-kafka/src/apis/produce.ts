/*
 * Produce (key 0), versions 3-9; told from 0 on, because librdkafka drops compression otherwise (KAFKA-18659), but
 * 0-2 are not served, as in Apache Kafka 4. All codecs; the CRC-32C is checked; idempotent producers.
 * acks=0 gets no answer; if it failed, the connection is closed, as Apache Kafka does to tell the client.
 * Gaps: no transactions yet (INVALID_TXN_STATE); acks=all means one replica, whatever min.insync.replicas says;
 * batches are kept in the producer's codec whatever compression.type says.
 */
import type { Broker } from '../broker.ts'
import { validateProducedBatch } from '../records/validation.ts'
import { errorCodes } from '../wire/error-codes.ts'
import type { ErrorCode } from '../wire/error-codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import type { ApiHandler } from './handler.ts'

interface ProducedPartition {
  readonly index: number
  readonly error: ErrorCode
  readonly message: string | null
  readonly baseOffset: number
  readonly appendTime: number
  readonly logStartOffset: number
}

export const produce: ApiHandler = {
  key: 0,
  name: 'Produce',
  minVersion: 3,
  maxVersion: 9,
  advertisedMinVersion: 0,
  flexibleFrom: 9,
  handle(request, response, { broker, version }) {
    request.nullableString()
    const acks = request.int16()
    request.int32()
    const sent = request.array((topic) => {
      const name = topic.string()
      const partitions = topic.array((partition) => {
        const one = { index: partition.int32(), records: partition.nullableBytes() }
        partition.tags()
        return one
      })
      topic.tags()
      return { name, partitions }
    })

    // Nothing is appended before all is read: a malformed request leaves no half behind.
    const now = Date.now()
    let failed = false
    const topics = sent.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ index, records }) => {
        const produced = append(broker, name, index, records, acks, version, now)
        if (produced.error !== errorCodes.NONE) failed = true
        return produced
      }),
    }))
    if (acks === 0) return failed ? 'close' : 'no-response'

    response.array(topics, ({ name, partitions }) => {
      response.string(name)
      response.array(partitions, (produced) => {
        response.int32(produced.index)
        response.int16(produced.error)
        response.int64(produced.baseOffset)
        response.int64(produced.appendTime)
        if (version >= 5) response.int64(produced.logStartOffset)
        if (version >= 8) {
          response.array([], () => {})
          response.nullableString(produced.message)
        }
        response.tags()
      })
      response.tags()
    })
    response.int32(0)
    response.tags()
    return undefined
  },
}

function append(
  broker: Broker,
  topic: string,
  index: number,
  records: Buffer | null,
  acks: number,
  version: number,
  now: number,
): ProducedPartition {
  try {
    if (acks < -1 || acks > 1)
      throw new ProtocolError(errorCodes.INVALID_REQUIRED_ACKS, `acks ${acks}: -1, 0 or 1`)
    const partition = broker.topics.partition(topic, index)
    if (partition === undefined) {
      throw new ProtocolError(
        errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
        `there is no partition ${topic}/${index}`,
      )
    }
    if (records === null) throw new ProtocolError(errorCodes.INVALID_RECORD, 'there are no records')
    const header = validateProducedBatch(records)
    if (header.compression === 'zstd' && version < 7) {
      throw new ProtocolError(errorCodes.UNSUPPORTED_COMPRESSION_TYPE, 'zstd takes Produce 7 or later')
    }
    if (header.transactional) {
      throw new ProtocolError(errorCodes.INVALID_TXN_STATE, 'this broker has no transactions yet')
    }
    const { baseOffset, appendTime } = partition.append(records, header, now)
    const { logStartOffset } = partition
    return { index, error: errorCodes.NONE, message: null, baseOffset, appendTime, logStartOffset }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    const { code, message } = error
    return { index, error: code, message, baseOffset: -1, appendTime: -1, logStartOffset: -1 }
  }
}
