export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Where a record stands in the log. `offset` is exact up to 2^53 − 1. */
export interface RecordPosition extends TopicPartition {
  readonly offset: number
}
