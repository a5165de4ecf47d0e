/**
 * OffsetFetch (key 9): what a group has committed. Versions 8 and 9: of several groups at once (KIP-709), of which we ask
 * for one; 9 has room for a member of the newer group protocol (KIP-848), which nobody here is.
 */
import type { Api } from './api.ts'
import { readByTopic } from './by-topic.ts'
import type { Reader } from './reader.ts'

export interface OffsetFetchRequest {
  readonly groupId: string
  /** `undefined`: all that the group has. */
  readonly partitions: readonly { readonly topic: string; readonly partition: number }[] | undefined
  /** A partition's offset that a transaction is about to change is UNSTABLE_OFFSET_COMMIT instead (KIP-447). */
  readonly requireStable: boolean
}

export interface FetchedOffset {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** −1 for none. */
  readonly offset: number
  readonly metadata: string | null
}

export interface OffsetFetchAnswer {
  readonly errorCode: number
  readonly offsets: readonly FetchedOffset[]
}

/** `undefined`: the broker has said nothing of the group. */
export const offsetFetchApi: Api<OffsetFetchRequest, OffsetFetchAnswer | undefined> = {
  name: 'OffsetFetch',
  key: 9,
  versions: { oldest: 8, newest: 9 },
  flexibleFrom: 6,
  throttledFrom: 3,
  write(to, request, version) {
    to.array([request], (writer, { groupId, partitions }) => {
      writer.text(groupId)
      if (version >= 9) writer.text(null).int32(-1)
      const topics = partitions === undefined ? null : [...Map.groupBy(partitions, ({ topic }) => topic)]
      writer.array(topics, (inner, [topic, theirs]) => {
        inner
          .text(topic)
          .array(theirs, (one, { partition }) => one.int32(partition))
          .tags()
      })
      writer.tags()
    })
    to.bool(request.requireStable).tags()
  },
  read(from) {
    const [first] = from.array((reader) => {
      reader.text() // the group
      const offsets = readByTopic(reader, readOffset)
      const errorCode = reader.int16()
      reader.tags()
      return { errorCode, offsets }
    })
    from.tags()
    return first
  },
}

function readOffset(from: Reader, topic: string): FetchedOffset {
  const partition = from.int32()
  const offset = from.int64()
  from.int32() // the record's term
  const metadata = from.nullableText()
  const errorCode = from.int16()
  from.tags()
  return { topic, partition, errorCode, offset, metadata }
}
