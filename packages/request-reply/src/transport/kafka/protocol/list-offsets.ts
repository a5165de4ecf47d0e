/**
 * ListOffsets (key 2): where partitions begin and end, asked of their leaders. Versions 6 to 9, of one form: what the
 * later ones add are further timestamps to ask for.
 */
import type { Api } from './api.ts'
import { readByTopic, writeByTopic } from './by-topic.ts'

/** Instead of a time. */
export const EARLIEST = -2
export const LATEST = -1
/** Not a replica. */
const CLIENT = -1

export interface ListOffsetsRequest {
  /** 0: what the latest offset counts up to the high watermark; 1: up to the first open transaction. */
  readonly isolation: 0 | 1
  readonly partitions: readonly {
    readonly topic: string
    readonly partition: number
    /** The leader's term: another leader refuses (KIP-320). −1 for any. */
    readonly epoch: number
    /** Milliseconds since the Unix epoch, `EARLIEST` or `LATEST`. */
    readonly timestamp: number
  }[]
}

export interface ListedOffset {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** −1 for none. */
  readonly offset: number
  /** The term in which the record there was written; −1 when there is none. */
  readonly epoch: number
}

export const listOffsetsApi: Api<ListOffsetsRequest, readonly ListedOffset[]> = {
  name: 'ListOffsets',
  key: 2,
  versions: { oldest: 6, newest: 9 },
  flexibleFrom: 6,
  throttledFrom: 2,
  write(to, { isolation, partitions }) {
    to.int32(CLIENT).int8(isolation)
    writeByTopic(to, partitions, (writer, { partition, epoch, timestamp }) => {
      writer.int32(partition).int32(epoch).int64(timestamp).tags()
    })
    to.tags()
  },
  read(from) {
    const offsets = readByTopic(from, (reader, topic) => {
      const partition = reader.int32()
      const errorCode = reader.int16()
      reader.int64() // the record's time
      const offset = reader.int64()
      const epoch = reader.int32()
      reader.tags()
      return { topic, partition, errorCode, offset, epoch }
    })
    from.tags()
    return offsets
  },
}
