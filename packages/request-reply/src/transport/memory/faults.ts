/**
 * What a test or a simulation may do to the in-memory broker's traffic. Everything else about it behaves as Kafka does.
 */
import type { OutgoingRecord, TopicPartition } from '../transport.ts'

/**
 * What becomes of one record that is sent.
 *
 * - `deliver`: appended and acknowledged.
 * - `duplicate`: appended twice, acknowledged once; what a producer that is not idempotent does when it retries.
 * - `not-sent`: refused with `MILENA_NOT_SENT`; not in the log.
 * - `unknown`: refused with `MILENA_SEND_UNKNOWN`; not in the log.
 * - `unknown-appended`: refused with `MILENA_SEND_UNKNOWN`; in the log all the same.
 * - `lost`: acknowledged and not in the log. Kafka never does this with acks from all in-sync replicas: it is here to
 *   test that a checker notices.
 */
export type SendFate = 'deliver' | 'duplicate' | 'not-sent' | 'unknown' | 'unknown-appended' | 'lost'

export interface SendFault {
  /** Default `deliver`. */
  readonly fate?: SendFate | undefined
  /** Milliseconds more before the record reaches the log; later records of the partition wait behind it. Default 0. */
  readonly delay?: number | undefined
  /** Milliseconds more between the log and the acknowledgement. Default 0. */
  readonly ackDelay?: number | undefined
}

export interface MemoryFaults {
  /** Asked once for each record, in the order of sending; `undefined` leaves the record alone. */
  send?(record: OutgoingRecord & { readonly partition: number }, clientId: string): SendFault | undefined
  /**
   * Milliseconds more before the next records of this partition are handed to this client. The order within a
   * partition stays; partitions overtake each other.
   */
  deliveryDelay?(partition: TopicPartition, clientId: string): number
}
