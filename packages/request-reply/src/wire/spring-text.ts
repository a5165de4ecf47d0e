/**
 * The `spring-text` profile: what Spring for Apache Kafka's ReplyingKafkaTemplate writes and reads with
 * `setBinaryCorrelation(false)`.
 *
 * `kafka_correlationId` text, as a UUID's · `kafka_replyTopic` UTF-8 · `kafka_replyPartition` int32, big-endian, as ever.
 * Source: spring-kafka 4.x, ReplyingKafkaTemplate (`sendAndReceive`, `handleReply`), CorrelationKey (`toString`).
 */
import { textCorrelation } from './correlation-form.ts'
import { binaryPartition } from './partition-form.ts'
import type { WireProfile } from './profile.ts'
import { threeHeaders } from './three-headers.ts'

export const springTextProfile: WireProfile = {
  name: 'spring-text',
  ...threeHeaders({
    correlation: 'kafka_correlationId',
    correlationForm: textCorrelation,
    topic: 'kafka_replyTopic',
    partition: 'kafka_replyPartition',
    partitionForm: binaryPartition,
  }),
}
