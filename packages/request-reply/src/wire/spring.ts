/**
 * The `spring` profile: what Spring for Apache Kafka's ReplyingKafkaTemplate writes and reads by default.
 *
 * `kafka_correlationId` 16 raw bytes · `kafka_replyTopic` UTF-8 · `kafka_replyPartition` int32, big-endian.
 * Source: spring-kafka 4.x, KafkaHeaders, CorrelationKey, ReplyingKafkaTemplate, MessagingMessageListenerAdapter.
 */
import { isSame, lastHeader, type RawHeader } from './headers.ts'
import type { ReplyAddress, ReplyRequest, WireProfile } from './profile.ts'

const correlationName = Buffer.from('kafka_correlationId')
const topicName = Buffer.from('kafka_replyTopic')
const partitionName = Buffer.from('kafka_replyPartition')

/** Kafka's longest topic name, in bytes. */
const longestTopic = 249
/** The longest foreign correlation id that is echoed, in bytes; ours and Spring's have 16. */
const longestCorrelation = 255

export const springProfile: WireProfile = {
  name: 'spring',

  addressHeaders(address: ReplyAddress): readonly RawHeader[] {
    const headers: RawHeader[] = [[topicName, Buffer.from(address.topic)]]
    if (address.partition !== undefined) {
      const bytes = Buffer.allocUnsafe(4)
      bytes.writeInt32BE(address.partition)
      headers.push([partitionName, bytes])
    }
    return headers
  },

  correlationHeader: (correlationId) => [correlationName, correlationId],

  readCorrelation(headers) {
    const id = lastHeader(headers, correlationName)
    return id?.length === 16 ? id : undefined
  },

  readReplyRequest(headers): ReplyRequest | undefined | string {
    const correlationId = lastHeader(headers, correlationName)
    const topic = lastHeader(headers, topicName)
    if (!correlationId || correlationId.length === 0)
      return topic ? 'it has a kafka_replyTopic and no kafka_correlationId' : undefined
    if (correlationId.length > longestCorrelation)
      return `its kafka_correlationId has ${correlationId.length} bytes, at most ${longestCorrelation} are echoed`
    if (!topic || topic.length === 0) return { correlationId, address: undefined }
    if (topic.length > longestTopic)
      return `its kafka_replyTopic has ${topic.length} bytes, a topic name has at most ${longestTopic}`
    const partition = lastHeader(headers, partitionName)
    const name = textOf(topic)
    if (!partition) return { correlationId, address: { topic: name } }
    if (partition.length !== 4)
      return `its kafka_replyPartition has ${partition.length} bytes instead of 4 (int32, big-endian)`
    const number = partition.readInt32BE()
    if (number < 0) return `its kafka_replyPartition is ${number}`
    return { correlationId, address: { topic: name, partition: number } }
  },
}

/** The topic name that was read last: there are few, and they come in a row. */
let lastBytes = Buffer.alloc(0)
let lastText = ''

function textOf(topic: Buffer): string {
  if (isSame(topic, lastBytes)) return lastText
  lastBytes = Buffer.from(topic)
  return (lastText = topic.toString())
}
