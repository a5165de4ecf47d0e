/*
 * Produce (key 0), versions 3-9; told from 0 on, because librdkafka drops compression otherwise (KAFKA-18659), but
 * 0-2 are not served, as in Apache Kafka 4. All codecs; each record is checked (`records/validation.ts`); idempotent
 * producers.
 * acks=0 gets no answer; if it failed, the connection is closed, as Apache Kafka does to tell the client.
 * Gaps: no transactions yet (INVALID_TXN_STATE); acks=all means one replica, whatever min.insync.replicas says;
 * batches are kept in the producer's codec whatever compression.type says.
 */
import type { Broker } from '../broker.ts'
import type { UnpackMeter } from '../records/record-times.ts'
import { validateProducedBatch } from '../records/validation.ts'
import { errorCodes } from '../wire/error-codes.ts'
import type { ErrorCode } from '../wire/error-codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import type { Writer } from '../wire/writer.ts'
import { attempt } from './attempt.ts'
import { defineApi } from './handler.ts'
import type { Answer, ApiHandler } from './handler.ts'
import { readTopics, writeTopics } from './topic-partitions.ts'
import type { OfTopic } from './topic-partitions.ts'
import { Turn } from './turns.ts'

interface Sent {
  readonly index: number
  readonly records: Buffer | null
  readonly acks: number
  /** Whether the version of the request allows it. */
  readonly zstd: boolean
}

interface Produced {
  readonly index: number
  readonly error: ErrorCode
  readonly message: string | null
  readonly baseOffset: number
  readonly appendTime: number
  readonly logStartOffset: number
}

export const produce: ApiHandler = defineApi({
  key: 0,
  name: 'Produce',
  minVersion: 3,
  maxVersion: 9,
  advertisedMinVersion: 0,
  flexibleFrom: 9,
  read(request, version) {
    request.nullableString()
    const acks = request.int16()
    request.int32()
    const topics = readTopics(request, (partition): Sent => {
      const index = partition.int32()
      const records = partition.nullableBytes()
      return { index, records, acks, zstd: version >= 7 }
    })
    request.tags()
    return { acks, topics }
  },
  serve({ acks, topics }, { broker, version }) {
    const written = (produced: readonly OfTopic<Produced>[]): Answer => {
      if (acks !== 0) return (response) => writeProduced(response, produced, version)
      return produced.some(({ partitions }) => partitions.some(failed)) ? 'close' : 'no-response'
    }
    const produced = broker.longWork.run(appendAll(broker, topics))
    return produced instanceof Promise ? produced.then(written) : written(produced)
  },
})

function* appendAll(broker: Broker, topics: readonly OfTopic<Sent>[]): Generator<void, OfTopic<Produced>[]> {
  const now = Date.now()
  const turn = new Turn()
  const produced: OfTopic<Produced>[] = []
  for (const { topic, partitions } of topics) {
    const results: Produced[] = []
    for (const sent of partitions) {
      const meter = { unpackedBytes: 0 }
      const result = attempt(() => append(broker, topic, sent, now, meter))
      results.push(result instanceof ProtocolError ? refused(sent.index, result) : result)
      if (turn.isOver(meter.unpackedBytes)) yield
    }
    produced.push({ topic, partitions: results })
  }
  return produced
}

/** @throws ProtocolError */
function append(broker: Broker, topic: string, sent: Sent, now: number, meter: UnpackMeter): Produced {
  const { index, records, acks, zstd } = sent
  if (acks < -1 || acks > 1)
    throw new ProtocolError(errorCodes.INVALID_REQUIRED_ACKS, `acks ${acks}: -1, 0 or 1`)
  const partition = broker.topics.partition(topic, index)
  if (partition === undefined) {
    throw new ProtocolError(errorCodes.UNKNOWN_TOPIC_OR_PARTITION, `there is no partition ${topic}/${index}`)
  }
  if (records === null) throw new ProtocolError(errorCodes.INVALID_RECORD, 'there are no records')
  const valid = validateProducedBatch(records, broker.settings.maxUnpackedBytes, meter)
  if (valid.header.compression === 'zstd' && !zstd) {
    throw new ProtocolError(errorCodes.UNSUPPORTED_COMPRESSION_TYPE, 'zstd takes Produce 7 or later')
  }
  if (valid.header.transactional) {
    throw new ProtocolError(errorCodes.INVALID_TXN_STATE, 'this broker has no transactions yet')
  }
  const { baseOffset, appendTime } = partition.append(records, valid, now)
  const { logStartOffset } = partition
  return { index, error: errorCodes.NONE, message: null, baseOffset, appendTime, logStartOffset }
}

function refused(index: number, { code, message }: ProtocolError): Produced {
  return { index, error: code, message, baseOffset: -1, appendTime: -1, logStartOffset: -1 }
}

function failed({ error }: Produced): boolean {
  return error !== errorCodes.NONE
}

function writeProduced(response: Writer, produced: readonly OfTopic<Produced>[], version: number): void {
  writeTopics(response, produced, (partition) => {
    response.int32(partition.index)
    response.int16(partition.error)
    response.int64(partition.baseOffset)
    response.int64(partition.appendTime)
    if (version >= 5) response.int64(partition.logStartOffset)
    if (version >= 8) {
      response.array([], () => {})
      response.nullableString(partition.message)
    }
  })
  response.int32(0)
  response.tags()
}
