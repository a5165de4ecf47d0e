/**
 * The `spring` profile: what Spring for Apache Kafka's ReplyingKafkaTemplate writes and reads by default.
 *
 * `kafka_correlationId` 16 raw bytes · `kafka_replyTopic` UTF-8 · `kafka_replyPartition` int32, big-endian.
 * Source: spring-kafka 4.x, KafkaHeaders, CorrelationKey, ReplyingKafkaTemplate, MessagingMessageListenerAdapter.
 */
import { rawCorrelation } from './correlation-form.ts'
import { binaryPartition } from './partition-form.ts'
import type { WireProfile } from './profile.ts'
import { threeHeaders } from './three-headers.ts'

export const springProfile: WireProfile = {
  name: 'spring',
  ...threeHeaders({
    correlation: 'kafka_correlationId',
    correlationForm: rawCorrelation,
    topic: 'kafka_replyTopic',
    partition: 'kafka_replyPartition',
    partitionForm: binaryPartition,
  }),
}
