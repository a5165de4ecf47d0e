/**
 * Metadata (key 3): brokers, the controller, and which broker leads which partition.
 *
 * Versions 10 to 13: topic ids from 10 on (KIP-516), a verdict on the whole answer in 13 (KIP-1102).
 */
import type { Api } from './api.ts'
import { NO_TOPIC_ID } from './primitive-types.ts'
import type { Reader } from './reader.ts'

export interface MetadataRequest {
  /** `undefined`: all there are. */
  readonly topics: readonly string[] | undefined
}

export interface MetadataAnswer {
  readonly errorCode: number
  readonly brokers: readonly { readonly id: number; readonly host: string; readonly port: number }[]
  /** −1 when it is not known. */
  readonly controller: number
  readonly topics: readonly TopicMetadata[]
}

export interface TopicMetadata {
  readonly errorCode: number
  readonly name: string | null
  readonly id: string
  readonly partitions: readonly PartitionMetadata[]
}

export interface PartitionMetadata {
  readonly partition: number
  /** −1 when nobody leads it. */
  readonly leader: number
  readonly epoch: number
}

export const metadataApi: Api<MetadataRequest, MetadataAnswer> = {
  name: 'Metadata',
  key: 3,
  versions: { oldest: 10, newest: 13 },
  flexibleFrom: 9,
  throttledFrom: 3,
  write(to, { topics }, version) {
    to.array(topics ?? null, (writer, name) => writer.uuid(NO_TOPIC_ID).text(name).tags())
    to.bool(false) // never create a topic by asking for it
    if (version === 10) to.bool(false) // what one may do with the cluster
    to.bool(false).tags() // what one may do with the topics
  },
  read(from, version) {
    const brokers = from.array((reader) => {
      const broker = { id: reader.int32(), host: reader.text(), port: reader.int32() }
      reader.nullableText() // rack
      reader.tags()
      return broker
    })
    from.nullableText() // cluster id
    const controller = from.int32()
    const topics = from.array(readTopic)
    if (version === 10) from.int32()
    const errorCode = version >= 13 ? from.int16() : 0
    from.tags()
    return { errorCode, brokers, controller, topics }
  },
}

function readTopic(from: Reader): TopicMetadata {
  const errorCode = from.int16()
  const name = from.nullableText()
  const id = from.uuid()
  from.bool() // internal
  const partitions = from.array(readPartition)
  from.int32() // what one may do with it
  from.tags()
  return { errorCode, name, id, partitions }
}

function readPartition(from: Reader): PartitionMetadata {
  from.int16() // without a leader it says why
  const state = { partition: from.int32(), leader: from.int32(), epoch: from.int32() }
  // Replicas, those in sync, those that are offline.
  for (let lists = 0; lists < 3; lists++) from.array(brokerId)
  from.tags()
  return state
}

function brokerId(from: Reader): number {
  return from.int32()
}
