/**
 * OffsetForLeaderEpoch (key 23): where a leader's term ended in the log as it is now. A log that ends, in that term,
 * before what was read of it has been cut off (KIP-320). Version 4.
 */
import type { Api } from './api.ts'
import { readByTopic, writeByTopic } from './by-topic.ts'

/** Not a replica. */
const CLIENT = -1

export interface TermToLookUp {
  readonly topic: string
  readonly partition: number
  /** The leader's term: another leader refuses. −1 for any. */
  readonly epoch: number
  /** The term that is asked about. */
  readonly term: number
}

export interface TermEnd {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** The term asked about, or the latest before it that the log has; −1 for none. */
  readonly term: number
  /** The first offset behind it; −1 for none. */
  readonly end: number
}

export const offsetForLeaderEpochApi: Api<readonly TermToLookUp[], readonly TermEnd[]> = {
  name: 'OffsetForLeaderEpoch',
  key: 23,
  versions: { oldest: 4, newest: 4 },
  flexibleFrom: 4,
  throttledFrom: 2,
  write(to, partitions) {
    to.int32(CLIENT)
    writeByTopic(to, partitions, (writer, { partition, epoch, term }) => {
      writer.int32(partition).int32(epoch).int32(term).tags()
    })
    to.tags()
  },
  read(from) {
    const ends = readByTopic(from, (reader, topic) => {
      const errorCode = reader.int16()
      const partition = reader.int32()
      const end = { topic, partition, errorCode, term: reader.int32(), end: reader.int64() }
      reader.tags()
      return end
    })
    from.tags()
    return ends
  },
}
