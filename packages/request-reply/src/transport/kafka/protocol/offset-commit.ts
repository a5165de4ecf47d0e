/** OffsetCommit (key 8): up to where a group has read. Versions 8 and 9, of one form. */
import type { Api } from './api.ts'
import { readByTopic, writeByTopic } from './by-topic.ts'

/** The term of the record at the offset: not told. */
const NO_TERM = -1

export interface OffsetCommitRequest {
  readonly groupId: string
  /** −1 for a group without members. */
  readonly generation: number
  /** Empty for a group without members. */
  readonly memberId: string
  readonly instanceId: string | null
  readonly offsets: readonly {
    readonly topic: string
    readonly partition: number
    readonly offset: number
    readonly metadata: string | null
  }[]
}

export interface CommitResult {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
}

export const offsetCommitApi: Api<OffsetCommitRequest, readonly CommitResult[]> = {
  name: 'OffsetCommit',
  key: 8,
  versions: { oldest: 8, newest: 9 },
  flexibleFrom: 8,
  throttledFrom: 3,
  write(to, request) {
    to.text(request.groupId).int32(request.generation).text(request.memberId).text(request.instanceId)
    writeByTopic(to, request.offsets, (writer, { partition, offset, metadata }) => {
      writer.int32(partition).int64(offset).int32(NO_TERM).text(metadata).tags()
    })
    to.tags()
  },
  read(from) {
    const results = readByTopic(from, (reader, topic) => {
      const result = { topic, partition: reader.int32(), errorCode: reader.int16() }
      reader.tags()
      return result
    })
    from.tags()
    return results
  },
}
