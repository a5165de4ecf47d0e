/**
 * The `smallrye` profile: what the KafkaRequestReply of SmallRye Reactive Messaging (Quarkus) writes and reads by default,
 * and its outgoing channels when they answer.
 *
 * `REPLY_CORRELATION_ID` text, as a UUID's · `REPLY_TOPIC` UTF-8 · `REPLY_PARTITION` int32, big-endian. A record that has a
 * `REPLY_TOPIC` is no reply to it. Source: smallrye-reactive-messaging 4.x, KafkaRequestReply, KafkaRequestReplyImpl,
 * UUIDCorrelationIdHandler, KafkaSink, KafkaRecordHelper.
 *
 * It has no errors of its own: an application's ReplyFailureHandler reads them from a header. The one in its documentation
 * reads the message from `REPLY_ERROR`, and so that is what is written, and read.
 */
import { textCorrelation } from './correlation-form.ts'
import { lastHeader } from './headers.ts'
import { cutError, type WireError } from './milena.ts'
import { binaryPartition } from './partition-form.ts'
import type { WireProfile } from './profile.ts'
import { threeHeaders } from './three-headers.ts'

const errorName = Buffer.from('REPLY_ERROR')

export const smallryeProfile: WireProfile = {
  name: 'smallrye',
  ...threeHeaders({
    correlation: 'REPLY_CORRELATION_ID',
    correlationForm: textCorrelation,
    topic: 'REPLY_TOPIC',
    partition: 'REPLY_PARTITION',
    partitionForm: binaryPartition,
  }),

  errorHeaders: ({ message }) => [[errorName, cutError(message)]],

  readError(headers): WireError | undefined {
    const error = lastHeader(headers, errorName)
    return error === undefined
      ? undefined
      : { code: 'REPLY_ERROR', message: cutError(error ?? '').toString() }
  },
}
